;; A well-behaved guest that does nothing.
