//! The condition of a caller, which a write checks in addition to the version.

use std::collections::BTreeSet;
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

use crate::item::invalid::Invalid;
use crate::item::serialize;
use crate::write::placeholders::{Placeholders, RESERVED_PREFIX, check_length};

/// A condition expression that a write checks in addition to the version.
///
/// ```
/// use dynalock::Condition;
///
/// let enough = Condition::new("#b >= :least").name("#b", "balance").value(":least", 10);
/// ```
///
/// The expression is one of DynamoDB's [condition
/// expressions](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html). Many
/// attribute names, such as `status` and `name`, are [reserved
/// words](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html) in it: write `#s` and `.name("#s",
/// "status")`. Placeholders that begin with `#_` or `:_` are reserved for dynalock.
///
/// A call returns [`ConditionFailed`](crate::Error::ConditionFailed) if the version is as expected and the condition does not
/// hold. It returns [`InvalidRequest`](crate::Error::InvalidRequest), before anything is sent, for an empty expression,
/// unbalanced parentheses, and a placeholder that is reserved, missing, unused, or given two meanings.
#[derive(Clone)]
#[must_use = "a condition does nothing until a call takes it"]
pub struct Condition {
    /// The expressions that are joined with AND, each without parentheses around it.
    parts: Vec<String>,
    placeholders: Placeholders,
    /// What is wrong with a name or a value. The builder's methods keep it until the condition is used.
    problem: Option<String>,
}

impl Condition {
    /// A condition from an expression.
    pub fn new(expression: impl Into<String>) -> Self {
        let expression = without_outer_parentheses(&expression.into()).to_owned();
        Self { parts: vec![expression], placeholders: Placeholders::default(), problem: None }
    }

    /// Lets `placeholder`, such as `#s`, stand for the attribute `name`.
    pub fn name(mut self, placeholder: impl Into<String>, name: impl Into<String>) -> Self {
        self.add_name(placeholder.into(), &name.into());
        self
    }

    /// Lets `placeholder`, such as `:min`, stand for `value`, serialized with serde.
    pub fn value(mut self, placeholder: impl Into<String>, value: impl Serialize) -> Self {
        let placeholder = placeholder.into();
        match serialize::value(&value) {
            Some(value) => self.add_value(placeholder, value),
            None => {
                let problem = format!("DynamoDB has no type for the value of {placeholder}");
                self.problem.get_or_insert(problem);
            }
        }
        self
    }

    /// Adds `more` to the conditions that a call has already.
    pub(crate) fn join(earlier: &mut Option<Self>, more: Self) {
        *earlier = Some(match earlier.take() {
            Some(earlier) => earlier.and(more),
            None => more,
        });
    }

    /// A condition that holds if both do. They may share a placeholder that stands for the same in both.
    fn and(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        for (placeholder, name) in other.placeholders.names {
            self.add_name(placeholder, &name);
        }
        for (placeholder, value) in other.placeholders.values {
            self.add_value(placeholder, value);
        }
        self.problem = self.problem.or(other.problem);
        self
    }

    fn add_name(&mut self, placeholder: String, name: &str) {
        match self.placeholders.names.get(&placeholder) {
            Some(other) if other != name => self.report_two_meanings(&placeholder),
            _ => self.placeholders.name(placeholder, name),
        }
    }

    fn add_value(&mut self, placeholder: String, value: AttributeValue) {
        match self.placeholders.values.get(&placeholder) {
            Some(other) if *other != value => self.report_two_meanings(&placeholder),
            _ => self.placeholders.value(placeholder, value),
        }
    }

    fn report_two_meanings(&mut self, placeholder: &str) {
        self.problem.get_or_insert(format!("{placeholder} stands for two different things"));
    }

    /// Appends the condition to `expression`, the version check of a write, and adds its names and values to `placeholders`.
    pub(crate) fn add_to(
        &self,
        expression: &mut String,
        placeholders: &mut Placeholders,
    ) -> Result<(), Invalid> {
        self.check().map_err(|problem| Invalid::request(format!("condition: {problem}")))?;
        for part in &self.parts {
            expression.push_str(" AND (");
            expression.push_str(part);
            expression.push(')');
        }
        let Placeholders { names, values } = self.placeholders.clone();
        placeholders.names.extend(names);
        placeholders.values.extend(values);
        check_length("condition", expression)
    }

    /// Refuses a condition that DynamoDB would refuse, or that could disable the version check.
    fn check(&self) -> Result<(), String> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        for part in &self.parts {
            if part.is_empty() {
                return Err("the expression is empty".into());
            }
            check_parentheses(part)?;
        }
        let Placeholders { names, values } = &self.placeholders;
        let given: BTreeSet<&str> = names.keys().chain(values.keys()).map(String::as_str).collect();
        let used: BTreeSet<&str> = self.parts.iter().flat_map(|part| placeholders_in(part)).collect();
        // One that is only given is refused too: it would replace what dynalock's own placeholder of that name stands for.
        if let Some(placeholder) = given.union(&used).find(|placeholder| is_reserved(placeholder)) {
            return Err(format!("{placeholder} is reserved: placeholders must not begin with #_ or :_"));
        }
        if let Some(placeholder) = used.difference(&given).next() {
            let method = if placeholder.starts_with('#') { "name" } else { "value" };
            return Err(format!("{placeholder} stands for nothing; add `.{method}(\"{placeholder}\", ..)`"));
        }
        match given.difference(&used).next() {
            Some(placeholder) => Err(format!("{placeholder} is not used in the expression")),
            None => Ok(()),
        }
    }
}

/// Shows the expression and the attribute names, but no values.
impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition")
            .field("expression", &self.parts.join(" AND "))
            .field("names", &self.placeholders.names)
            .finish_non_exhaustive()
    }
}

/// Whether a placeholder begins as dynalock's own do.
fn is_reserved(placeholder: &str) -> bool {
    placeholder.chars().nth(1) == Some(RESERVED_PREFIX)
}

/// The `#names` and `:values` in an expression. Condition expressions have no string literals, so every `#` and `:` begins one.
fn placeholders_in(expression: &str) -> impl Iterator<Item = &str> {
    expression.match_indices(['#', ':']).map(|(start, _)| {
        let rest = &expression[start + 1..];
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        &expression[start..=start + length]
    })
}

/// Refuses unbalanced parentheses. The part `a) OR (b` would make the expression `.. AND (a) OR (b)`, which can hold although the
/// version check fails.
fn check_parentheses(expression: &str) -> Result<(), String> {
    let mut open = 0_usize;
    for c in expression.chars() {
        match c {
            '(' => open += 1,
            ')' if open == 0 => return Err("a closing parenthesis has no opening one".into()),
            ')' => open -= 1,
            _ => {}
        }
    }
    match open {
        0 => Ok(()),
        _ => Err("an opening parenthesis is never closed".into()),
    }
}

/// Removes parentheses that enclose the whole expression: DynamoDB refuses redundant ones, and every part gets a pair later.
fn without_outer_parentheses(expression: &str) -> &str {
    let expression = expression.trim();
    let Some(inner) = expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else {
        return expression;
    };
    match check_parentheses(inner) {
        Ok(()) => without_outer_parentheses(inner),
        Err(_) => expression,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::item::StoredVersion;
    use crate::item::schema::Schema;
    use crate::write::expectation::Expectation;

    /// The expression of `expectation` and `condition`, and its placeholders.
    fn rendered(expectation: Expectation, condition: &Condition) -> Result<(String, Placeholders), Invalid> {
        let mut placeholders = Placeholders::default();
        let mut expression = expectation.render(Schema::EXAMPLE, &mut placeholders);
        condition.add_to(&mut expression, &mut placeholders)?;
        Ok((expression, placeholders))
    }

    fn joined(condition: &Condition) -> String {
        rendered(Expectation::Version(7), condition).unwrap().0
    }

    fn problem(condition: &Condition) -> String {
        rendered(Expectation::Version(7), condition).map(drop).unwrap_err().in_table("").to_string()
    }

    /// DynamoDB refuses placeholders that are given and not used, and the other way round.
    #[test]
    fn an_expression_uses_exactly_its_placeholders() {
        use StoredVersion::{Absent, Null, Number};
        let read = [Absent, Null, Number(0), Number(3)].map(Expectation::AsRead);
        for expect in
            [Expectation::Absent, Expectation::Version(7), Expectation::Unversioned].into_iter().chain(read)
        {
            let condition = Condition::new("#n = :x OR :x = #n").name("#n", "a").value(":x", 1);
            let (expression, placeholders) = rendered(expect, &condition).unwrap();
            let used: HashSet<&str> = placeholders_in(&expression).collect();
            let given = placeholders.names.keys().chain(placeholders.values.keys());
            assert_eq!(used, given.map(String::as_str).collect(), "{expect:?}");
        }
    }

    #[test]
    fn a_condition_is_joined_with_and_inside_one_pair_of_parentheses() {
        assert_eq!(joined(&Condition::new("a = b")), "#_v=:_v AND (a = b)");
        assert_eq!(joined(&Condition::new("a = b OR c = d")), "#_v=:_v AND (a = b OR c = d)");
        let both = Condition::new("a = b OR c = d").and(Condition::new("e = f"));
        assert_eq!(joined(&both), "#_v=:_v AND (a = b OR c = d) AND (e = f)");
        let three = Condition::new("a = b").and(Condition::new("c = d").and(Condition::new("e = f")));
        assert_eq!(joined(&three), "#_v=:_v AND (a = b) AND (c = d) AND (e = f)");
    }

    #[test]
    fn a_second_condition_is_added_to_the_first() {
        let mut both = None;
        Condition::join(&mut both, Condition::new("a = b"));
        Condition::join(&mut both, Condition::new("c = d"));
        assert_eq!(joined(&both.unwrap()), "#_v=:_v AND (a = b) AND (c = d)");
    }

    /// DynamoDB refuses `((a = b))`, and `(a) OR (b)` is not enclosed though it begins and ends with parentheses.
    #[test]
    fn only_parentheses_around_the_whole_expression_are_removed() {
        for expression in ["a = b", "(a = b)", "((a = b))", "  ( ( a = b ) )  "] {
            assert_eq!(joined(&Condition::new(expression)), "#_v=:_v AND (a = b)", "{expression}");
        }
        assert_eq!(joined(&Condition::new("(a = b) OR (c = d)")), "#_v=:_v AND ((a = b) OR (c = d))");
        assert_eq!(joined(&Condition::new("((a = b) OR (c = d))")), "#_v=:_v AND ((a = b) OR (c = d))");
        assert_eq!(joined(&Condition::new("size(a) IN (size(b))")), "#_v=:_v AND (size(a) IN (size(b)))");
    }

    #[test]
    fn parentheses_that_do_not_match_are_refused() {
        for expression in ["a = b) OR (c = d", ")(", "a)", "size(a)) OR (a = a"] {
            assert!(problem(&Condition::new(expression)).contains("closing parenthesis"), "{expression}");
        }
        for expression in ["(a = b", "size(a", "((a) OR (b)"] {
            assert!(problem(&Condition::new(expression)).contains("never closed"), "{expression}");
        }
    }

    #[test]
    fn an_empty_expression_is_refused() {
        for expression in ["", "  ", "()", "(( ))"] {
            assert!(problem(&Condition::new(expression)).contains("empty"), "{expression:?}");
        }
        assert!(problem(&Condition::new("a = b").and(Condition::new(""))).contains("empty"));
    }

    #[test]
    fn placeholders_are_found_everywhere_in_an_expression() {
        let found = |expression| placeholders_in(expression).collect::<Vec<_>>();
        assert_eq!(found("#a=:b"), ["#a", ":b"]);
        assert_eq!(found("a.#b[0].#c_1<:D2"), ["#b", "#c_1", ":D2"]);
        assert_eq!(found("contains(#a,:b)AND#c IN(:d,:e)"), ["#a", ":b", "#c", ":d", ":e"]);
        assert_eq!(found("a = b"), [""; 0]);
        assert_eq!(found("# :"), ["#", ":"]);
        assert_eq!(found("#ä:"), ["#", ":"]);
    }

    #[test]
    fn reserved_placeholders_are_refused_everywhere() {
        let reserved = [
            Condition::new("#_v = :x").value(":x", 1),
            Condition::new("a = :_v"),
            Condition::new("a = :_").value(":_", 1),
            Condition::new("#_9 = :x").name("#_9", "a").value(":x", 1),
            Condition::new("a = b").name("#_v", "other"),
            Condition::new("a = b").value(":_v", 1),
            Condition::new("a = b").and(Condition::new("c = :_w").value(":_w", 1)),
        ];
        for condition in reserved {
            assert!(problem(&condition).contains("is reserved"), "{condition:?}");
        }
        let near = Condition::new("#v_ = :x_").name("#v_", "a").value(":x_", 1);
        assert_eq!(joined(&near), "#_v=:_v AND (#v_ = :x_)");
    }

    #[test]
    fn placeholders_must_stand_for_something_and_be_used() {
        let missing = problem(&Condition::new("#a = :b").name("#a", "a"));
        assert!(missing.contains(":b stands for nothing") && missing.contains(".value("), "{missing}");
        let missing = problem(&Condition::new("#a = :b").value(":b", 1));
        assert!(missing.contains("#a stands for nothing") && missing.contains(".name("), "{missing}");
        assert!(problem(&Condition::new("a = b").name("#c", "c")).contains("#c is not used"));
        assert!(problem(&Condition::new("a = :b").value(":b", 1).value(":c", 1)).contains(":c is not used"));
        // `:b` is not `:bc`, although that begins with it.
        assert!(problem(&Condition::new("a = :bc").value(":b", 1)).contains(":bc stands for nothing"));
        // A placeholder without its `:` can never be used.
        assert!(problem(&Condition::new("a = :b").value("b", 1).value(":b", 1)).contains("b is not used"));
    }

    #[test]
    fn joined_conditions_share_placeholders_only_where_they_agree() {
        let at_least = |value: i32| Condition::new("#a >= :x").name("#a", "a").value(":x", value);
        assert_eq!(joined(&at_least(1).and(at_least(1))), "#_v=:_v AND (#a >= :x) AND (#a >= :x)");
        assert!(problem(&at_least(1).and(at_least(2))).contains(":x stands for two different things"));
        let renamed = Condition::new("#a = a").name("#a", "b");
        assert!(problem(&at_least(1).and(renamed)).contains("#a stands for two different things"));
        assert!(problem(&at_least(1).value(":x", 2)).contains(":x stands for two"));
    }

    #[test]
    fn a_value_of_no_dynamodb_type_is_refused_by_its_placeholder() {
        assert!(problem(&Condition::new("a = :big").value(":big", u128::MAX)).contains(":big"));
    }

    #[test]
    fn an_expression_that_is_too_long_is_refused() {
        let long = Condition::new(vec!["a = b"; 600].join(" OR "));
        assert!(problem(&long).contains("4096"), "{}", problem(&long));
    }

    #[test]
    fn no_value_is_shown() {
        let condition = Condition::new("#p = :p").name("#p", "password").value(":p", "hunter2");
        let shown = format!("{condition:?}");
        assert!(
            shown.contains("#p = :p") && shown.contains("password") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
