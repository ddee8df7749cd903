//! URLs without their passwords.

/// Returns a URL for logs and errors: its password is `***`, and its parameters are left out.
///
/// Everything up to the last `@` before the parameters counts as credentials. So a password is
/// hidden even if its special characters are not percent-encoded.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "(not a URL)".to_owned() };
    let (credentials, server) = rest.rsplit_once('@').map_or((None, rest), |(user, host)| (Some(user), host));
    let server = server.split(['?', '#']).next().unwrap_or_default();
    let credentials = match credentials {
        None => String::new(),
        Some(credentials) => match credentials.split_once(':') {
            Some((user, _)) => format!("{user}:***@"),
            // Not a user: the @ belongs to a parameter, such as a password.
            None if credentials.contains('?') => "***@".to_owned(),
            None => format!("{credentials}@"),
        },
    };
    format!("{scheme}://{credentials}{server}")
}

/// Returns a URL whose passwords are hidden. It keeps all other parameters.
pub fn with_hidden_password(url: &str) -> String {
    let mut shown = without_password(url);
    // A password may contain a question mark, so the parameters begin after the last @.
    let server = url.rsplit_once('@').map_or(url, |(_, server)| server);
    if let Some((_, query)) = server.split_once('?') {
        let hide = |parameter: &str| match parameter.split_once('=') {
            Some((name, _)) if name.contains("password") => format!("{name}=***"),
            _ => parameter.to_owned(),
        };
        shown.push('?');
        shown.push_str(&query.split('&').map(hide).collect::<Vec<_>>().join("&"));
    }
    shown
}

/// Returns whether a URL contains a password.
pub fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let in_credentials = rest.rsplit_once('@').is_some_and(|(credentials, _)| credentials.contains(':'));
    in_credentials || url.contains("password=")
}

#[cfg(test)]
mod tests {
    use super::{has_password, with_hidden_password, without_password};

    #[test]
    fn a_password_is_hidden_whatever_it_contains() {
        for (url, shown) in [
            ("redis://user:secret@host:6379/1", "redis://user:***@host:6379/1"),
            ("redis://:secret@host", "redis://:***@host"),
            ("postgres://u:se@cr/et?x#y@db:5432/thicket?sslmode=require", "postgres://u:***@db:5432/thicket"),
            ("postgres://db/thicket?password=secret", "postgres://db/thicket"),
            ("postgres://db/thicket?password=secret@x", "postgres://***@x"),
            ("mqtt://host:1883", "mqtt://host:1883"),
            ("redis://user@host", "redis://user@host"),
            ("host=h password=secret", "(not a URL)"),
        ] {
            assert_eq!(without_password(url), shown);
            assert_eq!(has_password(url), url.contains("se@") || url.contains("secret"), "{url}");
        }
    }

    #[test]
    fn the_other_parameters_are_kept() {
        for (url, shown) in [
            (
                "postgres://u:p?w@db/t?sslmode=verify-full&a=b",
                "postgres://u:***@db/t?sslmode=verify-full&a=b",
            ),
            (
                "postgres://db/t?password=secret&sslmode=require",
                "postgres://db/t?password=***&sslmode=require",
            ),
            ("postgres://db/t?sslpassword=secret", "postgres://db/t?sslpassword=***"),
            ("redis://user@host", "redis://user@host"),
        ] {
            assert_eq!(with_hidden_password(url), shown);
        }
    }
}
