;; Lacks a required export.
;;| world guest { import jackfield:plugin/settings@0.1.0; export jackfield:plugin/meta@0.1.0; }
