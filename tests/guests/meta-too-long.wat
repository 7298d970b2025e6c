;; An id with a false length of two gibibytes.
(func (export "jackfield:plugin/meta@0.1.0#get-info") (result i32)
  (i32.store (i32.const 84) (i32.const 0x7fffffff))
  (i32.const 80))
