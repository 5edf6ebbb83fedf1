//! The doubles, helpers and drivers, tested over real sockets and as real processes.

mod client;
mod mock_mcp;
mod process;
