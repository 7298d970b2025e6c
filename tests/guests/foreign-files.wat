;; Imports files.
;;| world guest { include jackfield:plugin/base@0.1.0; import wasi:filesystem/preopens@0.2.0; }
;;| package wasi:filesystem@0.2.0 { interface preopens { count: func() -> u32; } }
(import "wasi:filesystem/preopens@0.2.0" "count" (func $count (result i32)))
