//! What plugins hear, decide and send, through real sockets.

mod deciding;
mod ground;
mod identify;
mod publishing;
