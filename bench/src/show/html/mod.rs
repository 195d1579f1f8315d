//! Self-contained pages: inline SVG, no script, nothing fetched.

mod compare;
mod page;
mod plots;

pub use compare::comparison_page;
pub use page::page;

use super::figures::bytes;
use crate::outcome::Machine;

const STYLE: &str = include_str!("style.css");

/// A whole document around its body.
fn document(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        escaped(title)
    )
}

/// Text that may stand in a document, or in an attribute's quotes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Rows of a name and its text, as a table.
fn facts<'a>(rows: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let rows =
        rows.into_iter().map(|(name, text)| format!("<tr><th>{}</th><td>{}</td></tr>\n", escaped(name), escaped(text)));
    format!("<table class=\"facts\">\n{}</table>\n", rows.collect::<String>())
}

/// A table whose first column is a name, and whose others are figures.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let class = |column: usize| if column == 0 { "" } else { " class=\"n\"" };
    let mut out = "<div class=\"scroll\"><table>\n<tr>".to_owned();
    for (column, name) in head.iter().enumerate() {
        out += &format!("<th{}>{}</th>", class(column), escaped(name));
    }
    out += "</tr>\n";
    for row in rows {
        out += "<tr>";
        for (column, cell) in row.iter().enumerate() {
            out += &format!("<td{}>{}</td>", class(column), escaped(cell));
        }
        out += "</tr>\n";
    }
    out + "</table></div>\n"
}

fn machine(machine: &Machine) -> String {
    let below = match machine.hypervisor.as_deref() {
        None => String::new(),
        Some("unknown") => ", a virtual machine".to_owned(),
        Some(name) => format!(", a virtual machine ({name})"),
    };
    let memory = bytes(machine.memory_bytes);
    format!("{}: {}, {} CPUs, {memory}, Linux {}{below}", machine.host, machine.cpu, machine.cpus, machine.kernel)
}
