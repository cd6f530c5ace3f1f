//! Tables without lines, made so that a script can cut them into columns.

use comfy_table::{ContentArrangement, Table, presets};

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

/// Lines up rows under the names of their columns. Never wraps; an empty cell reads `-`, so that no
/// column is lost to a script that counts them.
pub fn columns(names: &[&str], rows: &[Vec<String>], style: &Style) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(names);
    for row in rows {
        table.add_row(row.iter().map(|cell| match cell.as_str() {
            "" => "-".to_owned(),
            cell => clean(cell),
        }));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    if let Some(head) = lines.first_mut() {
        // Coloured when the widths are settled already.
        *head = style.bold(&head);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_under_the_names_of_their_columns() {
        let long = "x".repeat(300);
        let rows = [
            vec!["größe".to_owned(), String::new(), "1".to_owned()],
            vec!["a\nb".to_owned(), "two".to_owned(), long.clone()],
        ];
        let text = columns(&["NAME", "KIND", "ID"], &rows, &Style::PLAIN);
        assert_eq!(
            text,
            format!("NAME   KIND  ID\ngröße  -     1\na b    two   {long}")
        );
        let coloured = columns(&["NAME", "KIND", "ID"], &rows, &Style { colour: true });
        assert_eq!(super::super::style::without_colours(&coloured), text);
        assert_ne!(coloured, text);
    }

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
