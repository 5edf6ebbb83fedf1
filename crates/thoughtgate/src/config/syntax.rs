//! Text that is not YAML: what the parser expected, without any part of the text, which may be a secret.

use serde_saphyr::granit_parser::ErrorKind;

/// The cause where a tab is in the indentation.
pub const TABS: &str = "not valid YAML: tabs cannot be used for indentation";

/// The cause in words, and where it helps the way out.
pub fn cause(kind: &ErrorKind) -> &'static str {
    indentation(kind)
        .or_else(|| brackets(kind))
        .or_else(|| keys_and_items(kind))
        .or_else(|| texts(kind))
        .unwrap_or(
            "not valid YAML: unexpected character or sign; write a text with other characters than letters \
             and digits in quotes",
        )
}

fn indentation(kind: &ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => TABS,
        ErrorKind::InvalidIndentation
        | ErrorKind::InvalidFlowScalarIndent
        | ErrorKind::InvalidQuotedScalarIndent
        | ErrorKind::InvalidBlockScalarIndent => "not valid YAML: wrong indentation",
        _ => return None,
    })
}

fn brackets(kind: &ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::UnexpectedEof
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping
        | ErrorKind::UnexpectedEofBlockSequence
        | ErrorKind::UnexpectedEofBlockMapping
        | ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnclosedQuotedScalar => {
            "not valid YAML: unclosed quotation mark, list or mapping"
        }
        ErrorKind::ExpectedFlowMappingSeparator => "not valid YAML: expected `,` or `}` here",
        ErrorKind::ExpectedFlowSequenceSeparator => "not valid YAML: expected `,` or `]` here",
        ErrorKind::MisplacedFlowCollectionEnd => {
            "not valid YAML: a closing bracket without an opening one"
        }
        ErrorKind::MismatchedFlowCollectionEnd { .. } => {
            "not valid YAML: the closing bracket is of another kind than the opening one"
        }
        ErrorKind::RecursionLimitExceeded => "not valid YAML: nested too deeply",
        _ => return None,
    })
}

fn keys_and_items(kind: &ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::ExpectedBlockMappingKey => {
            "not valid YAML: expected a key with the indentation of those above it, or the end of their \
             section"
        }
        ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::BlockEntryInFlowCollection
        | ErrorKind::BlockSequenceEntryNotAllowed
        | ErrorKind::InvalidBlockEntryWhitespace
        | ErrorKind::PlainScalarStartsWithDashFlowIndicator => {
            "not valid YAML: expected each item of a list on a line of its own, behind `- `, or all between \
             `[` and `]`"
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            "not valid YAML: expected `: ` behind a key"
        }
        ErrorKind::MappingKeyNotAllowed
        | ErrorKind::MappingValueNotAllowed
        | ErrorKind::InvalidColonPlacement
        | ErrorKind::InvalidMappingValueWhitespace
        | ErrorKind::FlowMappingValueAdjacentCollection => {
            "not valid YAML: a key is not expected here; close the list or mapping above it, write each key on a \
             line of its own, and a text with `: ` in quotes"
        }
        ErrorKind::ExpectedNodeContent => "not valid YAML: expected a value here",
        ErrorKind::ExpectedDocumentStart
        | ErrorKind::InvalidDocumentEnd
        | ErrorKind::DocumentIndicatorInQuotedScalar => {
            "not valid YAML: expected the end of the file here, or a key with the indentation of those \
             above it"
        }
        _ => return None,
    })
}

fn texts(kind: &ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::UnknownQuotedScalarEscape
        | ErrorKind::InvalidQuotedScalarHexEscape
        | ErrorKind::InvalidLowSurrogateHexEscape
        | ErrorKind::InvalidLowSurrogate
        | ErrorKind::MissingLowSurrogate
        | ErrorKind::UnpairedLowSurrogate
        | ErrorKind::InvalidUnicodeEscape => {
            "not valid YAML: unknown escape in double quotes; write `\\\\` for a backslash, or use single \
             quotes"
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar
        | ErrorKind::UnexpectedEndOfPlainScalar => {
            "not valid YAML: expected nothing more behind the text, such as behind its closing quotation mark"
        }
        ErrorKind::MissingAnchorOrAliasName => {
            "not valid YAML: write a text that begins with `*` or `&` in quotes"
        }
        ErrorKind::UnexpectedCharacter { .. } => {
            "not valid YAML: write a text that begins with this character in quotes"
        }
        ErrorKind::CommentNotSeparated | ErrorKind::CommentInterceptedScalar => {
            "not valid YAML: a comment is not expected here; write a space before `#`, and a text with `#` \
             in quotes"
        }
        ErrorKind::ZeroBlockScalarIndent | ErrorKind::InvalidBlockScalarHeader => {
            "not valid YAML: expected the end of the line behind `|` or `>`"
        }
        _ => return None,
    })
}
