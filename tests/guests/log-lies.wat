;; A log line of two gibibytes at the end of a memory of 64 KiB.
(import "jackfield:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32 i32 i32 i32)))
(func (export "jackfield:plugin/lifecycle@0.1.0#activate")
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (call $log (i32.const 2) (i32.const 65000) (i32.const 0x7fffffff) (i32.const 0) (i32.const 0) (i32.const 0))
  (i32.const 128))
