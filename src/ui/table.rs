//! Tables without lines, made so that a script can cut them into columns.

use super::Style;
use super::text::clean;

/// Lines up names and values. Never wraps, so that a value stays one piece when copied or piped.
pub fn two_columns(rows: &[(String, String)], style: &Style) -> String {
    let width = rows
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    let lines = rows.iter().map(|(name, value)| {
        let gap = " ".repeat(width - name.chars().count());
        format!("{}{gap}  {}", style.bold(clean(name)), clean(value))
            .trim_end()
            .to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn values_begin_in_the_same_column_and_stay_whole() {
        let long = "x".repeat(300);
        let text = two_columns(
            &rows(&[("url", &long), ("größe", "1"), ("none", "")]),
            &Style::PLAIN,
        );
        assert_eq!(text, format!("url    {long}\ngröße  1\nnone"));
    }

    #[test]
    fn colours_do_not_move_the_columns() {
        let rows = rows(&[("a", "1"), ("longer", "2")]);
        let coloured = two_columns(&rows, &Style { colour: true });
        let plain = two_columns(&rows, &Style::PLAIN);
        assert_ne!(coloured, plain);
        assert_eq!(super::super::style::without_colours(&coloured), plain);
    }
}
