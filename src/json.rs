//! Why a text is not the JSON that it has to be, in our words.

use serde_json::Error;
use serde_json::error::Category;

/// Says what is wrong with a file that this tool wrote, as a sentence without capital and full stop.
pub fn wrong(error: &Error) -> String {
    let place = format!("line {}, column {}", error.line(), error.column());
    match error.classify() {
        Category::Eof | Category::Io => "it ends before its JSON does".to_owned(),
        Category::Syntax => format!("it is no JSON at {place}"),
        Category::Data => format!("{} ({place})", message(error)),
    }
}

/// Says what is wrong at the place of the error, which is said elsewhere.
pub fn wrong_here(error: &Error) -> String {
    match error.classify() {
        Category::Eof | Category::Io => "it ends here, before its JSON does".to_owned(),
        Category::Syntax => "from here on it is no JSON".to_owned(),
        Category::Data => message(error),
    }
}

/// Returns what does not fit, without the place.
fn message(error: &Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only whether it can be read is of interest")]
    struct Head {
        format: u32,
    }

    #[track_caller]
    fn check(text: &str, file: &str, here: &str) {
        let error = serde_json::from_str::<Head>(text).expect_err("it is wrong");
        assert_eq!((wrong(&error).as_str(), wrong_here(&error).as_str()), (file, here), "{text:?}");
    }

    #[test]
    fn it_is_said_what_a_text_is_not() {
        let ends = ("it ends before its JSON does", "it ends here, before its JSON does");
        for text in ["", "  \n", "{\"format\": 1", "{\"format\""] {
            check(text, ends.0, ends.1);
        }
        check("hello", "it is no JSON at line 1, column 1", "from here on it is no JSON");
        check("{\"format\": 1}\n}", "it is no JSON at line 2, column 1", "from here on it is no JSON");
        let lacks = "missing field `format`";
        check("{}", &format!("{lacks} (line 1, column 2)"), lacks);
    }
}
