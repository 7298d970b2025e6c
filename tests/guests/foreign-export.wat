;; Its lifecycle interface has other functions than the host's.
;;| world guest { import jackfield:plugin/settings@0.1.0; export jackfield:plugin/meta@0.1.0; export jackfield:plugin/lifecycle@0.1.0; }
;;| package jackfield:plugin@0.1.0 {
;;|   interface settings { get: func(key: string) -> option<string>; }
;;|   interface meta { record plugin-info { id: string, version: string } get-info: func() -> plugin-info; }
;;|   interface lifecycle { deactivate: func(); }
;;| }
