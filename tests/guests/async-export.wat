;; An asynchronous export that never answers.
;;| world guest { include jackfield:plugin/base@0.1.0; export run: async func(); }
(func (export "[async-lift-stackful]run")
  (loop $again (br $again)))
