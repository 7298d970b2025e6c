;; Imports an interface that this version of the package does not have.
;;| world guest { import jackfield:plugin/settings@0.1.0; import jackfield:plugin/files@0.1.0; export jackfield:plugin/meta@0.1.0; }
;;| package jackfield:plugin@0.1.0 {
;;|   interface settings { get: func(key: string) -> option<string>; }
;;|   interface files { open: func(); }
;;|   interface meta { record plugin-info { id: string, version: string } get-info: func() -> plugin-info; }
;;| }
(import "jackfield:plugin/files@0.1.0" "open" (func $open))
