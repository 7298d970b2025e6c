//! The edge host with real components, real SQLite files, a real PostgreSQL and real sockets.

mod http;
mod loading;
mod manifest;
mod network;
mod postgres;
mod stores;
mod support;
