;; A log line that is not UTF-8.
(import "jackfield:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32 i32 i32 i32)))
(data (i32.const 200) "\ff\fe\c0")
(func (export "jackfield:plugin/lifecycle@0.1.0#activate")
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (call $log (i32.const 2) (i32.const 200) (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0))
  (i32.const 128))
