;; Rewrites every chat message.
;;| world guest { include jackfield:plugin/moderator@0.1.0; }
(data (i32.const 200) "seen")
(func (export "jackfield:plugin/chat-handler@0.1.0#on-chat") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (i32.store8 (i32.const 256) (i32.const 0))
  (i32.store8 (i32.const 260) (i32.const 1))
  (i32.store (i32.const 264) (i32.const 200))
  (i32.store (i32.const 268) (i32.const 4))
  (i32.const 256))
