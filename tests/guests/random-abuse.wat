;; Requests a gibibyte of random bytes at once.
;;| world guest { include jackfield:plugin/base@0.1.0; import wasi:random/random@0.2.0; }
;;| package wasi:random@0.2.0 { interface random { get-random-bytes: func(len: u64) -> list<u8>; } }
(import "wasi:random/random@0.2.0" "get-random-bytes" (func $random (param i64 i32)))
(func (export "jackfield:plugin/lifecycle@0.1.0#activate")
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (call $random (i64.const 0x40000000) (i32.const 256))
  (i32.const 128))
