;; A result outside its memory.
(func (export "jackfield:plugin/meta@0.1.0#get-info") (result i32)
  (i32.const 0xfffffff0))
