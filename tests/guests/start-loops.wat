;; Never gets past its start function.
(func $for-ever (loop $again (br $again)))
(start $for-ever)
