//! Somebody whom an attack on others must not trouble.
