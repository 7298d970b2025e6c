;; A value with a false length of two gibibytes.
;;| world guest { include jackfield:plugin/base@0.1.0; import jackfield:plugin/kv@0.1.0; }
(import "jackfield:plugin/kv@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32)))
(func (export "jackfield:plugin/lifecycle@0.1.0#activate")
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (call $set (i32.const 16) (i32.const 2) (i32.const 0) (i32.const 0x80000000) (i32.const 256))
  (i32.const 128))
