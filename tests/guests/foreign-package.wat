;; Imports a foreign package.
;;| world guest { include jackfield:plugin/base@0.1.0; import evil:corp/backdoor@1.0.0; }
;;| package evil:corp@1.0.0 { interface backdoor { open: func(); } }
(import "evil:corp/backdoor@1.0.0" "open" (func $open))
