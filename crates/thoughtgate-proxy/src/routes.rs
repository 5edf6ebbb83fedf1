//! Groups of paths that an address serves, and the words that lead a lost client to the right path.
//!
//! Serves none of them: [`crate::connection`] does.

use std::fmt;

/// Routes that a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routes {
    All,
    /// All but the admin routes, which have their own address.
    Mcp,
    Admin,
}

impl Routes {
    /// Whether `path` is that of the MCP endpoint. With a slash at its end too, as many clients and their
    /// documents write it: a 404 would tell them that their session has ended.
    #[must_use]
    pub fn is_endpoint(self, path: &str) -> bool {
        self != Routes::Admin && matches!(path, "/mcp" | "/mcp/")
    }
}

impl fmt::Display for Routes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let admin = "health at /health and /ready, metrics at /metrics";
        match self {
            Routes::All => write!(formatter, "MCP is at /mcp, {admin}"),
            Routes::Mcp => formatter.write_str(
                "MCP is at /mcp; /health, /ready and /metrics are on the address `admin_listen`",
            ),
            Routes::Admin => write!(formatter, "{admin}; MCP is at /mcp on the address `listen`"),
        }
    }
}
