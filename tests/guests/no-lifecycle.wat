;; Lacks an export that every plugin has.
;;| world guest { import jackfield:plugin/settings@0.1.0; export jackfield:plugin/meta@0.1.0; }
