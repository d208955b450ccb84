//! The preprocessor's rules, one table; what stands here was compared with what Debian's keepalived makes of it.

use std::path::Path;

use super::super::tree::Node;
use super::{ReadOptions, read};

fn lines(text: &str, id: Option<&str>) -> (Vec<String>, Vec<&'static str>) {
    fn collect(node: Node<'_>, out: &mut Vec<String>) {
        for child in node.children() {
            out.push(child.texts().join(" ") + if child.has_block() { " {" } else { "" });
            collect(child, out);
        }
    }
    let options = ReadOptions { config_id: id.map(str::to_owned), ..ReadOptions::default() };
    let (tree, findings) = read(Path::new("t.conf"), text.as_bytes(), &options);
    let mut out = Vec::new();
    collect(tree.root(), &mut out);
    (out, findings.iter().map(|finding| finding.code).collect())
}

#[test]
fn every_rule() {
    let cases: &[(&str, &[&str])] = &[
        // Definitions and uses.
        ("$A=one\nx_${A}_y", &["x_one_y"]),
        ("$A=one\nx_$A", &["x_one"]),
        ("$A=one\nx_$A,y ($A)", &["x_one,y (one)"]),
        ("$A=one\nx_$A_y x_$A.y x_$A/y", &["x_$A_y x_$A.y x_$A/y"]),
        ("$A=one two\nx $A", &["x one two"]),
        ("$A=1\n$B=${A}.$A\n$A=2\nx $B", &["x 2.2"]),
        ("$A=1\n$A=2\nx $A", &["x 2"]),
        ("x $UNDEFINED", &["x $UNDEFINED"]),
        ("$A=\\\n  c1 x \\\n  c2 {\\\n  d\n$A\n}", &["c1 x", "c2 {", "d"]),
        ("$A=a \\\n# comment \\\n@two no \\\n@one b # and \\\nc\n$A", &["a", "b", "c"]),
        ("x 51\u{3000}\u{3000}", &["x 51\u{3000}\u{3000}"]),
        ("$A = 1\nx $A", &["$A = 1", "x $A"]),
        // Those that are always there.
        ("x${_HASH}y\ny ${_BANG} z\n$H=${_HASH}\n$H all", &["x", "y"]),
        ("x \"${_HASH}y\"", &["x #y"]),
        ("x ${_INSTANCE}", &["x one"]),
        ("x ${_RANDOM 7 7}", &["x 7"]),
        ("x \"${_ENV TANDEM_NO_SUCH_VARIABLE}\" y", &["x  y"]),
        // Choices.
        ("@one a\n@two b\n@^one c\n@^two d", &["a", "d"]),
        ("@one $A=1\n@two $A=2\nx $A", &["x 1"]),
        ("@one a {\n@two b {\nc\n}", &["a {", "c"]),
        ("a { @one b\n @two c\n} @two d", &["a {", "b"]),
        // Sequences.
        ("~SEQ(X, 3) a_$X", &["a_1", "a_2", "a_3"]),
        ("~SEQ(X, 3, 1) a_$X", &["a_3", "a_2", "a_1"]),
        ("~SEQ(X, 0, 5, 12) ~SEQ(Y, 2) a_${X}_$Y", &["a_0_1", "a_0_2", "a_5_1", "a_5_2", "a_10_1", "a_10_2"]),
        ("~SEQx(X, 9, 17) $X", &["9", "a", "b", "c", "d", "e", "f", "10", "11"]),
        ("~SEQ(X, 2) a_$X.b a_${X}.b", &["a_$X.b a_1.b", "a_$X.b a_2.b"]),
        ("~LST(Z, a, b) x_$Z", &["x_a", "x_b"]),
        ("~LST({p,q},{1,2},{3,4}) x_${p}_${q}", &["x_1_2", "x_3_4"]),
        ("$N=2\n~SEQ(X, $N) a_$X", &["a_1", "a_2"]),
        ("~SEQ(X, 2) a_$X { b_$X\n}\n}", &["a_1 {", "b_1", "a_2 {", "b_2"]),
        // Foreign bytes.
        ("\u{feff}a\r\nb\r\n", &["a", "b"]),
        ("a \"b c\" \"\" d", &["a b c  d"]),
        ("a\u{b}b", &["a b"]),
    ];
    for (text, wanted) in cases {
        assert_eq!(lines(text, Some("one")).0, *wanted, "{text:?}");
    }
}

#[test]
fn mistakes_are_named() {
    let cases: &[(&str, &[&str])] = &[
        ("~SEQ(X, 3, 1, 1) a", &["bad-sequence"]),
        ("~SEQ(X 3) a", &["bad-sequence"]),
        ("~SEQ(X, 1, 0, 3) a", &["bad-sequence"]),
        ("~LST() a", &["bad-sequence"]),
        ("~SEQ(X, 99999999) a", &["bad-sequence"]),
        ("$A=$B\n$B=$A\nx $A", &["expansion-too-large"]),
        ("x $NO y", &["undefined-variable"]),
        ("$NO y", &[]),
        ("a }", &["surplus-brace"]),
        ("a {", &["missing-brace"]),
        ("{ a }", &["unexpected-brace"]),
        ("a \"b", &["open-quote"]),
        ("a \0", &["nul-byte"]),
        ("include", &["missing-value"]),
        ("include /no/such/file", &["include-missing"]),
        ("includea /no/such/*.conf", &["include-missing"]),
        ("include_check nonsense", &["bad-value"]),
    ];
    for (text, wanted) in cases {
        assert_eq!(lines(text, None).1, *wanted, "{text:?}");
    }
    let long = format!("a {}\nb", "x".repeat(1022));
    assert_eq!(lines(&long, None), (vec!["b".to_owned()], vec!["line-too-long"]));
}

#[test]
fn expansion_is_bounded() {
    let bomb = "$A0=xxxxxxxxxx\n".to_owned()
        + &(1..12)
            .map(|n| format!("$A{n}=${{A{0}}}${{A{0}}}${{A{0}}}${{A{0}}}${{A{0}}}${{A{0}}}\n", n - 1))
            .collect::<String>()
        + "y $A11";
    assert_eq!(lines(&bomb, None).1, ["expansion-too-large"]);
    let nested = "~SEQ(A, 60000) ~SEQ(B, 60000) ~SEQ(C, 60000) x_$A".to_owned();
    assert_eq!(lines(&nested, None).1, ["expansion-too-large"]);
    let lines_of_lines = "$A=\\\nx \\\n$A\n$A";
    assert!(lines(lines_of_lines, None).1.contains(&"expansion-too-large"));
}

#[test]
fn places_are_those_of_the_file() {
    let text = "$V=a b c\nkey one $V two\n  @x key ü four\n";
    let options = ReadOptions { config_id: Some("x".to_owned()), ..ReadOptions::default() };
    let (tree, _) = read(Path::new("t.conf"), text.as_bytes(), &options);
    let places: Vec<Vec<(u32, u32)>> = tree
        .root()
        .children()
        .map(|node| (0..=node.argument_count()).map(|n| (node.place(n).line, node.place(n).column)).collect())
        .collect();
    // The words of a variable stand where it was named.
    assert_eq!(places[0], [(2, 1), (2, 5), (2, 9), (2, 9), (2, 9), (2, 12)]);
    assert_eq!(places[1], [(3, 6), (3, 10), (3, 12)]);
}

#[test]
fn includes_are_found_from_the_including_file() {
    let folder = std::env::temp_dir().join(format!("tandem-include-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("d")).expect("a folder");
    std::fs::write(folder.join("d/a.conf"), "from_a\ninclude ../b.conf\n").expect("a file");
    std::fs::write(folder.join("b.conf"), "from_b\n").expect("a file");
    std::fs::write(folder.join("circle.conf"), "c\ninclude circle.conf\n").expect("a file");
    let main = folder.join("main.conf");
    let of = |text: &str| {
        let (tree, findings) = read(&main, text.as_bytes(), &ReadOptions::default());
        let words: Vec<String> = tree.root().children().map(|n| n.texts().join(" ")).collect();
        (words, findings.iter().map(|f| f.code).collect::<Vec<_>>())
    };
    assert_eq!(of("include d/*.conf\nend"), (vec!["from_a".into(), "from_b".into(), "end".into()], vec![]));
    assert_eq!(of("include {b,d/a}.conf").0, ["from_b", "from_a", "from_b"]);
    assert_eq!(of("includeb {b,nothing}.conf").1, ["include-missing"]);
    assert_eq!(of("include circle.conf").1, ["include-depth"]);
    let quiet = ReadOptions { no_includes: true, ..ReadOptions::default() };
    let (tree, findings) = read(&main, b"include b.conf\nx", &quiet);
    assert!(findings.is_empty() && tree.root().children().count() == 1);
    std::fs::remove_dir_all(&folder).expect("removed");
}
