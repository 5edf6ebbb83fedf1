//! The doubles, helpers and drivers, tested over real sockets and as real processes.

mod binaries;
mod client;
mod load;
mod mock_mcp;
mod mock_slack;
mod process;
