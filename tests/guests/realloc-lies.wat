;; Room for what the host passes in, outside of its memory.
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (i32.const 0xffffff00))
