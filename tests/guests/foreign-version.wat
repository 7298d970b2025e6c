;; Built for another version of the interfaces.
;;| world guest { include jackfield:plugin/base@0.1.0; import jackfield:plugin/log@0.2.0; }
;;| package jackfield:plugin@0.2.0 { interface log { write: func(text: string); } }
(import "jackfield:plugin/log@0.2.0" "write" (func $log (param i32 i32)))
