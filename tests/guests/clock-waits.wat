;; Waits by reading the time in an endless loop.
;;| world guest { include jackfield:plugin/base@0.1.0; import wasi:clocks/monotonic-clock@0.2.0; }
;;| package wasi:clocks@0.2.0 { interface monotonic-clock { now: func() -> u64; } }
(import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $now (result i64)))
(func (export "jackfield:plugin/lifecycle@0.1.0#activate")
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (loop $again (drop (call $now)) (br $again))
  (unreachable))
