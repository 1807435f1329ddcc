use proptest::prelude::*;

use super::*;

/// The canonical text of a query that must parse.
fn canonical(query: &str) -> String {
    match parse(query) {
        Ok(Some(expression)) => expression.to_string(),
        Ok(None) => String::new(),
        Err(error) => panic!("{query}: {error}"),
    }
}

#[test]
fn good_queries() {
    for (query, expected) in [
        ("", ""),
        (" \t\n ", ""),
        (r#"IssuedCN -eq "a""#, r#"IssuedCN -eq "a""#),
        (r#"issuedcn -EQ "A b""#, r#"issuedcn -eq "A b""#),
        (r#"CN -eq"a""#, r#"CN -eq "a""#),
        ("Status -eq 2", r#"Status -eq "2""#),
        ("Approved -eq true", r#"Approved -eq "true""#),
        (r#"Approved -eq "false""#, r#"Approved -eq "false""#),
        // NULL is a word only when bare.
        ("A -eq NULL", "A -eq NULL"),
        ("A -ne null", "A -ne NULL"),
        (r#"A -eq "NULL""#, r#"A -eq "NULL""#),
        (r#"A -eq """#, r#"A -eq """#),
        // Every operator.
        (
            "A -lt 1 AND A -le 1 AND A -gt 1 AND A -ge 1 AND A -ne 1",
            r#"A -lt "1" AND A -le "1" AND A -gt "1" AND A -ge "1" AND A -ne "1""#,
        ),
        (
            "A -contains x OR A -NotContains x OR A -startsWith x OR A -endswith x",
            r#"A -contains "x" OR A -notcontains "x" OR A -startswith "x" OR A -endswith "x""#,
        ),
        (r#"A -in ("a","b")"#, r#"A -in ("a", "b")"#),
        (
            r#"A -NOTIN( a , "b c",d(1) )"#,
            r#"A -notin ("a", "b c", "d(1)")"#,
        ),
        // Precedence and groups.
        (
            "A -eq 1 OR B -eq 2 AND C -eq 3",
            r#"A -eq "1" OR (B -eq "2" AND C -eq "3")"#,
        ),
        (
            "(A -eq 1 OR B -eq 2) and C -eq 3",
            r#"(A -eq "1" OR B -eq "2") AND C -eq "3""#,
        ),
        (
            "(A -eq 1 AND (B -eq 2 AND C -eq 3))",
            r#"A -eq "1" AND B -eq "2" AND C -eq "3""#,
        ),
        ("((A -eq 1))", r#"A -eq "1""#),
        ("NOT A -eq 1 AND B -eq 2", r#"NOT A -eq "1" AND B -eq "2""#),
        (
            "not(A -eq 1 AND B -eq 2)",
            r#"NOT (A -eq "1" AND B -eq "2")"#,
        ),
        ("NOT NOT A -eq 1", r#"NOT NOT A -eq "1""#),
        // go-client: no blank before AND.
        (r#"(A -eq "x")AND B -eq "y""#, r#"A -eq "x" AND B -eq "y""#),
        (r#"(A -eq "x")AND(B -eq "y")"#, r#"A -eq "x" AND B -eq "y""#),
        // Python helper: no blank around AND.
        (
            r#"A -eq "x"ANDB -eq "y"orC -eq "z""#,
            r#"(A -eq "x" AND B -eq "y") OR C -eq "z""#,
        ),
        (r#"(A -eq 1)ANDB -eq 2"#, r#"A -eq "1" AND B -eq "2""#),
        (r#"A -eq "x"ANDAND -eq "y""#, r#"A -eq "x" AND AND -eq "y""#),
        // vault: a blank at the end of the value.
        (r#"CA -eq "NAME ""#, r#"CA -eq "NAME""#),
        (r#"CA -eq " NAME""#, r#"CA -eq " NAME""#),
        // Backslashes and parentheses in values.
        (
            r#"Requester -eq "DOMAIN\user""#,
            r#"Requester -eq "DOMAIN\\user""#,
        ),
        (
            r#"Requester -eq DOMAIN\user"#,
            r#"Requester -eq "DOMAIN\\user""#,
        ),
        (
            r#"Requester -eq "DOMAIN\\user""#,
            r#"Requester -eq "DOMAIN\\user""#,
        ),
        (r#"A -eq "say \"hi\"""#, r#"A -eq "say \"hi\"""#),
        (
            r#"StorePath -eq "C:\certs\""#,
            r#"StorePath -eq "C:\\certs\\""#,
        ),
        (
            r#"CN -eq "a (b) c" AND D -eq 1"#,
            r#"CN -eq "a (b) c" AND D -eq "1""#,
        ),
        ("(CN -eq a(b)c)", r#"CN -eq "a(b)c""#),
        ("IssuedDN -eq CN=a,O=b", r#"IssuedDN -eq "CN=a,O=b""#),
        // Tokens, and names that look like something else.
        ("NotAfter -lt %TODAY+30%", r#"NotAfter -lt "%TODAY+30%""#),
        (r#"Requester -eq "%ME%""#, r#"Requester -eq "%ME%""#),
        (
            "Email-Contact -contains ü",
            r#"Email-Contact -contains "ü""#,
        ),
        ("not -eq 1 AND or -eq 2", r#"not -eq "1" AND or -eq "2""#),
        ("A -eq -5", r#"A -eq "-5""#),
        (
            "A\r\n-eq\t1\r\nAND\nB -eq 2\n",
            r#"A -eq "1" AND B -eq "2""#,
        ),
    ] {
        assert_eq!(canonical(query), expected, "{query}");
        assert_eq!(canonical(expected), expected, "canonical form of {query}");
    }
}

#[test]
fn bad_queries_say_where() {
    for (query, span, words) in [
        ("A", 1..1, "expected an operator after A (-eq -ne"),
        (
            "A -eq",
            5..5,
            "at character 6: expected a value; the query ends here",
        ),
        ("A -eq ", 6..6, "expected a value"),
        ("A -like x", 2..7, "found -like"),
        ("A = x", 2..3, "found ="),
        ("A -eq5", 2..6, "found -eq5"),
        ("-eq x", 0..3, "expected a field name"),
        (r#""A" -eq x"#, 0..1, "expected a field name"),
        (
            "A -eq my cert",
            9..13,
            "at character 10: expected AND or OR",
        ),
        ("A -eq ü cert", 9..13, "at character 9: expected AND or OR"),
        (r#"A -eq "x" ANDB -eq "y""#, 10..14, "found ANDB"),
        ("A -eq x ORDER -eq y", 8..13, "found ORDER"),
        (
            "A -eq x AND",
            11..11,
            "expected a field name; the query ends here",
        ),
        (
            "A -eq x AND OR B -eq y",
            15..16,
            "expected an operator after OR",
        ),
        ("AND A -eq x", 4..5, "expected an operator after AND"),
        (
            r#"A -eq "x"#,
            6..8,
            "at character 7: the quote has no closing quote",
        ),
        (r#"A -eq x"y"#, 7..8, "goes in double quotes"),
        ("A -eq 'x'", 6..9, "double quotes"),
        ("()", 1..2, "expected a field name; found )"),
        ("(A -eq x", 8..8, "closes the one at character 1"),
        ("(A -eq x y", 9..10, "closes the one at character 1"),
        ("A -eq x)", 7..8, "no opening parenthesis"),
        ("A -eq )", 6..7, "expected a value; found )"),
        ("A -eq (x)", 6..7, "a list goes with -in"),
        ("A -lt NULL", 6..10, "NULL goes with -eq and -ne"),
        ("A -in x", 6..7, "a list in parentheses"),
        ("A -in ()", 7..8, "expected a value"),
        ("A -in (x,)", 9..10, "expected a value"),
        ("A -in (x y)", 9..10, "a comma or the end"),
        ("A -in (x", 8..8, "a comma or the end"),
        ("A -in (NULL)", 7..11, "NULL cannot stand in a list"),
        ("NOT", 3..3, "expected a field name"),
    ] {
        let error = parse(query).expect_err(query);
        assert_eq!(error.span, span, "{query}: {error}");
        assert!(error.message.contains(words), "{query}: {error}");
    }
}

#[test]
fn comparisons_know_where_they_stand() {
    let query = r#"( A -eq "ü" ) AND Bb -in ( x )"#;
    let expression = parse(query).unwrap().unwrap();
    let spans: Vec<_> = expression
        .comparisons()
        .into_iter()
        .map(|comparison| {
            (
                &query[comparison.span.clone()],
                &query[comparison.field.span.clone()],
            )
        })
        .collect();
    assert_eq!(spans, [(r#"A -eq "ü""#, "A"), ("Bb -in ( x )", "Bb")]);
}

#[test]
fn limits_hold_at_the_edge() {
    let longest = format!(r#"A -eq "{}""#, "ü".repeat(MAX_QUERY_CHARACTERS - 8));
    assert!(parse(&longest).is_ok());
    let error = parse(&format!("{longest} ")).unwrap_err();
    assert_eq!(error.span, longest.len()..longest.len() + 1);

    let nested = |depth: usize| format!("{}A -eq 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(
        parse(&nested(MAX_DEPTH + 1)).unwrap_err().span,
        MAX_DEPTH..MAX_DEPTH + 1
    );
    assert!(parse(&format!("{}A -eq 1", "NOT ".repeat(MAX_DEPTH))).is_ok());
    assert!(parse(&format!("{}A -eq 1", "NOT ".repeat(MAX_DEPTH + 1))).is_err());

    let terms = |count: usize| vec!["A -eq 1"; count].join(" OR ");
    assert!(parse(&terms(MAX_TERMS)).is_ok());
    assert!(
        parse(&terms(MAX_TERMS + 1))
            .unwrap_err()
            .message
            .contains("500 comparisons")
    );

    let list = |count: usize| format!("A -in ({})", vec!["1"; count].join(","));
    assert!(parse(&list(MAX_LIST)).is_ok());
    assert!(
        parse(&list(MAX_LIST + 1))
            .unwrap_err()
            .message
            .contains("1000 values")
    );
}

#[test]
fn enormous_queries_are_refused_and_not_feared() {
    assert!(parse(&"A -eq 1 AND ".repeat(100_000)).is_err());
    assert!(parse(&"x".repeat(100_000)).is_err());
    for text in [
        "(", ")", "\"", "\\\"", "NOT ", "A -in (", "A -eq (", "-", ",",
    ] {
        assert!(parse(&text.repeat(1_000)).is_err(), "{text}");
    }
    assert!(
        parse(&format!(
            "{}A -eq 1{}",
            "(".repeat(1_000),
            ")".repeat(1_000)
        ))
        .is_err()
    );
}

fn field() -> impl Strategy<Value = Name> {
    prop_oneof![
        "[A-Za-z_ü][-A-Za-z0-9_.ü]{0,8}",
        Just("NOT".to_owned()),
        Just("and".to_owned())
    ]
    .prop_map(|text| Name { text, span: 0..0 })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,12}", r#"[\\"(),a %]{0,8}"#, Just("NULL".to_owned())]
        .prop_map(|text| text.trim_end().to_owned())
}

fn comparison() -> impl Strategy<Value = Expression> {
    (
        field(),
        0..Operator::ALL.len(),
        text(),
        prop::collection::vec(text(), 1..4),
        any::<bool>(),
    )
        .prop_map(|(field, operator, text, texts, is_null)| {
            let operator = Operator::ALL[operator];
            let value = if operator.takes_list() {
                Value::List(texts)
            } else if operator.takes_null() && is_null {
                Value::Null
            } else {
                Value::Text(text)
            };
            Expression::Comparison(Comparison {
                field,
                operator,
                value,
                span: 0..0,
                character: 1,
            })
        })
}

/// Any expression that `parse` can answer.
fn expression() -> impl Strategy<Value = Expression> {
    comparison().prop_recursive(5, 40, 4, |inner| {
        let terms = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            inner.prop_map(|term| Expression::Not(Box::new(term))),
            terms
                .clone()
                .prop_map(|terms| join(terms, Expression::And, |term| match term {
                    Expression::And(inner) => Ok(inner),
                    other => Err(other),
                })),
            terms.prop_map(|terms| join(terms, Expression::Or, |term| match term {
                Expression::Or(inner) => Ok(inner),
                other => Err(other),
            })),
        ]
    })
}

/// Pieces of the language in any order.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "A", "-eq", "-in", "\"x\"", "\"", "\\", "(", ")", ",", "AND", "OR", "NOT", "NULL", "ü",
        " ", " ", "7",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn printing_and_parsing_gives_the_same(expression in expression()) {
        prop_assert_eq!(parse(&expression.to_string()), Ok(Some(expression)));
    }

    #[test]
    fn never_panics_and_points_into_the_text(text in prop_oneof![".{0,80}".boxed(), soup().boxed()]) {
        match parse(&text) {
            Err(error) => prop_assert!(text.get(error.span).is_some()),
            Ok(None) => prop_assert!(text.trim().is_empty()),
            Ok(Some(expression)) => {
                for comparison in expression.comparisons() {
                    prop_assert!(text.get(comparison.span.clone()).is_some());
                }
                prop_assert_eq!(parse(&expression.to_string()), Ok(Some(expression)));
            }
        }
    }
}
