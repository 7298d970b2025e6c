;; Does nothing, well.
