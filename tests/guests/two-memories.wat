;; Two memories that fit one by one and not together. It traps where the host lets it have both.
(memory (export "memory") 1)
(memory $second 1)
(func (export "jackfield:plugin/lifecycle@0.1.0#activate")
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (if (i32.eq (memory.grow (i32.const 640)) (i32.const -1)) (then (unreachable)))
  (if (i32.ne (memory.grow $second (i32.const 640)) (i32.const -1)) (then (unreachable)))
  (i32.const 128))
