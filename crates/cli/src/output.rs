//! JSON and YAML.

use serde::Serialize;

use crate::Failure;
use crate::args::Form;
use crate::screen::Screen;

/// Prints a value in the asked form; `table` makes the text for people.
pub(crate) fn print<T: Serialize>(
    value: &T,
    form: Form,
    screen: &mut Screen<'_>,
    table: impl FnOnce(&Screen<'_>) -> String,
) -> Result<(), Failure> {
    match form {
        Form::Table | Form::Wide => {
            let text = table(screen);
            screen.print(&text);
        }
        Form::Json => screen.print_data(&(serde_json::to_string_pretty(value)? + "\n")),
        Form::Yaml => screen.print_data(&serde_saphyr::to_string(&serde_json::to_value(value)?)?),
    }
    Ok(())
}
