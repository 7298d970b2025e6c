;; Fails to activate.
(func (export "jackfield:plugin/lifecycle@0.1.0#activate")
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (unreachable))
