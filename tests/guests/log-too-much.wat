;; A real log line, longer than one host call may carry.
(import "jackfield:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32 i32 i32 i32)))
(func (export "jackfield:plugin/lifecycle@0.1.0#activate")
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (if (i32.eq (memory.grow (i32.const 256)) (i32.const -1)) (then (unreachable)))
  (call $log (i32.const 2) (i32.const 0) (i32.const 0xc00000) (i32.const 0) (i32.const 0) (i32.const 0))
  (i32.const 128))
