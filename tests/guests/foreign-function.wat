;; Imports a function that a known interface does not have.
;;| world guest { import jackfield:plugin/settings@0.1.0; export jackfield:plugin/meta@0.1.0; export jackfield:plugin/lifecycle@0.1.0; }
;;| package jackfield:plugin@0.1.0 {
;;|   interface settings { get: func(key: string) -> option<string>; set: func(key: string); }
;;|   interface meta { record plugin-info { id: string, version: string } get-info: func() -> plugin-info; }
;;|   interface lifecycle { deactivate: func(); }
;;| }
(import "jackfield:plugin/settings@0.1.0" "set" (func $set (param i32 i32)))
