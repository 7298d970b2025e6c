;; Tables that fit one by one and not together, and one beyond any bound. It traps where the host lets it have them.
(table $first 1 funcref)
(table $second 1 funcref)
(func (export "jackfield:plugin/lifecycle@0.1.0#activate")
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (if (i32.ne (table.grow $first (ref.null func) (i32.const 0x7fffffff)) (i32.const -1)) (then (unreachable)))
  (if (i32.eq (table.grow $first (ref.null func) (i32.const 6000)) (i32.const -1)) (then (unreachable)))
  (if (i32.ne (table.grow $second (ref.null func) (i32.const 6000)) (i32.const -1)) (then (unreachable)))
  (i32.const 128))
