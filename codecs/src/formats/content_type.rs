//! The format that the MIME type of a payload names.

use super::Format;

/// Returns the format that a MIME type names. `None` for types of texts and compressed data, whose
/// content says more than the type: `application/json` is also sent for `SenML`.
pub(super) fn format(content_type: &str) -> Option<Format> {
    let (name, _parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let name = name.trim().to_ascii_lowercase();
    match name.as_str() {
        "application/senml+json" | "application/senml+cbor" => Some(Format::Senml),
        "application/cbor" => Some(Format::Cbor),
        "application/msgpack" | "application/x-msgpack" | "application/vnd.msgpack" => {
            Some(Format::Messagepack)
        }
        name if name.ends_with("+cbor") => Some(Format::Cbor),
        name if name.ends_with("+msgpack") => Some(Format::Messagepack),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_formats_are_named_by_their_types() {
        assert_eq!(format("application/cbor"), Some(Format::Cbor));
        assert_eq!(format("Application/X-MsgPack; version=5"), Some(Format::Messagepack));
        assert_eq!(format("application/senml+cbor"), Some(Format::Senml));
        assert_eq!(format("application/vnd.example+cbor"), Some(Format::Cbor));
        for by_content in ["application/json", "text/plain", "text/csv", "application/gzip", "", "?"] {
            assert_eq!(format(by_content), None, "{by_content}");
        }
    }
}
