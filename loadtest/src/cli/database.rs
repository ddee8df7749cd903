//! The argument that names the database.

/// The database that a command reads.
#[derive(clap::Args)]
pub(super) struct DatabaseArgument {
    /// The database, as postgres://user[:password]@host[:port]/database.
    #[arg(
        long = "database",
        env = "THICKET__POSTGRES__URL",
        default_value = "postgres://thicket@localhost:5432/thicket",
        value_name = "URL",
        hide_env_values = true
    )]
    pub(super) url: String,
}
