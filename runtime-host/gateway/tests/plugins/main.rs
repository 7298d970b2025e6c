//! What plugins hear, decide and send, through real sockets.

mod deciding;
mod fixture;
mod identify;
mod publishing;
