;; Imports sockets.
;;| world guest { include jackfield:plugin/base@0.1.0; import wasi:sockets/instance-network@0.2.0; }
;;| package wasi:sockets@0.2.0 { interface instance-network { resource network; instance-network: func() -> network; } }
(import "wasi:sockets/instance-network@0.2.0" "instance-network" (func $network (result i32)))
