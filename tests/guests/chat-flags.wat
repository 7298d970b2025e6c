;; Flags every chat message with its own text.
;;| world guest { include jackfield:plugin/moderator@0.1.0; }
(func (export "jackfield:plugin/chat-handler@0.1.0#on-chat") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (i32.store8 (i32.const 256) (i32.const 0))
  (i32.store8 (i32.const 260) (i32.const 2))
  (i32.store (i32.const 264) (local.get 9))
  (i32.store (i32.const 268) (local.get 10))
  (i32.const 256))
