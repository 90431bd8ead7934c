"""Every type that a column of a PostgreSQL 15 table can have, with the values at its edges."""

from __future__ import annotations


class Sql(str):
    """A value that no literal gives."""


class Refused(str):
    """A literal that the lake's type cannot hold: its row belongs into quarantine."""


EXTENSIONS = ("hstore", "citext", "ltree", "cube", "seg", "isn", "intarray")

TYPES = r"""
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "fine"', 'a,b', '{}', '(', '', ' ', 'ü☃', 'NULL');
CREATE DOMAIN amount AS numeric(12,2) CHECK (VALUE <> 13);
CREATE DOMAIN price AS amount CHECK (VALUE >= 0);
CREATE DOMAIN tariff AS price;
CREATE DOMAIN good_mood AS mood CHECK (VALUE <> 'sad');
CREATE DOMAIN better_mood AS good_mood;
CREATE DOMAIN few AS int[] CHECK (array_length(VALUE, 1) < 5);
CREATE DOMAIN fewer AS few;
CREATE DOMAIN must AS int NOT NULL CHECK (VALUE > 0);
CREATE DOMAIN code AS varchar(5);
CREATE DOMAIN moment AS timestamptz;
CREATE DOMAIN instant AS moment;
CREATE DOMAIN flag AS boolean;
CREATE DOMAIN raw AS bytea;
CREATE DOMAIN address AS inet;
CREATE TYPE pair AS (n int, t text);
CREATE TYPE nest AS (p pair, ps pair[], m mood, d price, at timestamptz, b bytea);
CREATE DOMAIN counted AS pair CHECK ((VALUE).n > 0);
CREATE TYPE textrange AS RANGE (subtype = text, collation = "C");
CREATE TABLE shape (a int, "B c" text);
"""

INT_ARRAYS = ["{}", "{1,NULL,-3}", "{{1,2},{3,4}}", "[0:1]={5,6}", "[-2:-1][3:4]={{1,2},{3,NULL}}", "{{{{{{7}}}}}}"]
LONG = "".join(chr(0x4E00 + i * 7 % 5000) for i in range(4000))  # Does not compress into the row: TOAST.
DIGITS = "7" + "".join(str(i * i * 7919 % 10) for i in range(131000))

NUMBERS = {
    "boolean": ["true", "false"],
    "smallint": ["-32768", "32767", "0"],
    "integer": ["-2147483648", "2147483647", "0"],
    "bigint": ["-9223372036854775808", "9223372036854775807", "0"],
    "oid": ["0", "4294967295", "2147483648"],
    "real": ["0.1", "-0", "1e-45", "1.17549435e-38", "3.4028235e38", "-3.4028235e38", "NaN", "Infinity", "-Infinity", "16777217",
             Sql("('Infinity'::real - 'Infinity'::real)")],
    "double precision": ["0.1", "-0", "5e-324", "2.2250738585072011e-308", "1.7976931348623157e308", "-1.7976931348623157e308",
                         "NaN", "Infinity", "-Infinity", "9007199254740993", "0.30000000000000004", "1e22", "1e23",
                         Sql("('Infinity'::float8 - 'Infinity'::float8)")],
    "numeric": ["0", "1.10", "-0.000", "1e-16383", "1e131071", DIGITS + ".000", "NaN", "Infinity", "-Infinity", "10000", "0.0001"],
    "numeric(1,0)": ["0", "9", "-9", Refused("NaN")],
    "numeric(12,2)": ["0", "-0.01", "9999999999.99", "-9999999999.99", "0.10", Refused("NaN")],
    "numeric(5,5)": ["0.00001", "-0.99999", "0"],
    "numeric(18,9)": ["999999999.999999999", "-0.000000001"],
    "numeric(19,0)": ["9999999999999999999", "-9223372036854775809"],
    "numeric(38,0)": ["9" * 38, "-" + "9" * 38, "1" + "0" * 37, "0", Refused("NaN")],
    "numeric(38,37)": ["9." + "9" * 37, "-9." + "9" * 37, "0." + "0" * 36 + "1", "0"],
    "numeric(38,38)": ["0." + "9" * 38, "-0." + "0" * 37 + "1"],
    "numeric(39,2)": ["9" * 37 + ".99", "-" + "9" * 37 + ".01", "0.00", "NaN"],
    "numeric(1000,500)": ["9" * 500 + "." + "9" * 500, "-0." + "0" * 499 + "1", "0", "NaN"],
    "numeric(3,-2)": ["99900", "-12345", "49", "0", "NaN"],
    "numeric(3,5)": ["0.00999", "-0.00001", "0"],
    "money": ["0", "92233720368547758.07", "-92233720368547758.08", "-0.01", "1234567.89"],
    "xid": ["0", "4294967295", "3"],
    "xid8": ["0", "18446744073709551615", "4294967296"],
    "cid": ["0", "4294967295"],
    "tid": ["(0,0)", "(4294967295,65535)", "(12,3)"],
    "pg_lsn": ["0/0", "FFFFFFFF/FFFFFFFF", "16/B374D848"],
    "pg_snapshot": ["10:20:10,14,15", "1:1:", "9223372036854775807:9223372036854775807:"],
    "txid_snapshot": ["10:20:10,14,15", "1:1:"],
    "regclass": ["pg_class", "0", "4294967295", "shape", "information_schema.tables"],
    "regcollation": ['"C"', "0", '"en-x-icu"'],
    "regconfig": ["english", "0"],
    "regdictionary": ["simple", "english_stem"],
    "regnamespace": ["public", "pg_catalog", "0"],
    "regoper": ["0", "4294967295", "|/"],
    "regoperator": ["+(integer,integer)", "-(none,bigint)", "0"],
    "regproc": ["pg_backend_pid", "0", "4294967295"],
    "regprocedure": ["sum(integer)", "array_append(anycompatiblearray,anycompatible)", "0"],
    "regrole": ["postgres", "0", "4294967295"],
    "regtype": ["integer", "mood", "numeric[]", "timestamp with time zone", "0"],
    "refcursor": ["a cursor", ""],
    "aclitem": ["postgres=arwdDxt/postgres", "=r/postgres"],
}

TEXTS = {
    "text": ["", " ", "plain", "tab\tline\r\nback\\slash 'q' \"d\"", "\\N", "NULL", "ünï ☃ 𝄞 \U0010fffd \ufffe \u200b \u0301", "\x01\x7f",
             "__null__", "x" * 100_000, LONG],
    "varchar": ["", "varchar", LONG],
    "varchar(3)": ["", "ü☃𝄞", "a  "],
    "char(4)": ["", "ab", "ü☃𝄞x", " a"],
    '"char"': ["", "a", "\\", "'", Sql("(-56)::\"char\"")],
    "name": ["", "x" * 63, 'a "b"'],
    "bytea": ["\\x", "\\x00", "\\x00ff5c27", "\\x" + "00ff" * 50_000, Sql("decode(repeat('c3a95c5c00', 3), 'hex')"),
              Sql("(SELECT string_agg(sha512(g::text::bytea), '') FROM generate_series(1, 200) g)")],
    "uuid": ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"],
    "bit": ["0", "1"],
    "bit(11)": ["00000000000", "10000000001"],
    "bit varying": ["", "1", "0" * 1000 + "1"],
    "varbit(9)": ["", "101010101"],
    "json": ['{"b" :  1, "b": 2 , "a":null}', r'"\u0000"', r'"\ud83d"', r'["\ud83d\ude00", "\u00fc", "ü"]', " \n\t[ 1 , 2.50 ]  ", "null",
             "1e400", '""', '{"t": "' + LONG + '"}'],
    "jsonb": ['{"b": [1, 2.50, null], "a": "ü"}', "null", "1e1000", "-0.00000000000000000000000000000000000001", "[]", "{}",
              r'"\ud83d\ude00 \" \\ \/ \n"', '{"": {"": [[[[[]]]]]}}', '"' + LONG + '"', "123456789012345678901234567890.10"],
    "jsonpath": ["$", '$."a b"[*] ? (@.x > 1.50 && @.y like_regex "^ü")', "strict $.a[0 to last]", r'$ ? (@ == "\u00e9\"")'],
    "xml": ["<a>ü</a>", "text <b/> &lt; more", '<?xml version="1.0"?><a b="1"/>',
            '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><a/>',
            "<![CDATA[ x ]]>", ""],
    "tsvector": ["", "'a':1A 'b':2B,3 'it''s':4 'back\\\\slash':5", "'ü ☃':16383"],
    "tsquery": ["", "'a' & !'b' | 'c':*AB <-> 'd'", "'it''s' <3> 'x y'"],
    "int2vector": ["", "1 2 -3", "32767"],
    "oidvector": ["", "1 2 4294967295"],
    "mood": ["sad", "it's \"fine\"", "a,b", "{}", "(", "", " ", "ü☃", "NULL"],
    "good_mood": ["ok", "", "a,b"],
    "better_mood": ["ok", "(", "NULL"],
    "amount": ["0", "-12.34", "9999999999.99", Refused("NaN")],
    "tariff": ["0", "12.34", "9999999999.99", Refused("NaN")],
    "few": ["{}", "{1,NULL}", "[2:3]={1,2}"],
    "fewer": ["{}", "{4,3,2,1}"],
    "code": ["", "abcde", "ü☃"],
    "flag": ["true", "false"],
    "raw": ["\\x", "\\x00ff"],
    "address": ["10.0.0.1", "10.0.0.1/8", "::1"],
    "hstore": ["", '"a"=>"1", "b"=>NULL, ""=>""', '"it\'s \\"q\\" \\\\ , =>"=>"ü☃"', '"l"=>"' + LONG + '"'],
    "citext": ["", "MiXed", "mIXED", "ünï"],
    "ltree": ["", "Top.Science.Astronomy", "_1.a"],
    "lquery": ["*.Astro*@.!x|y.*{1,2}", "Top.*"],
    "ltxtquery": ["Europe & Russia*@ & !Transportation"],
    "cube": ["(1, 2, 3)", "(0.1, -0),(1e308, 5e-324)", "()"],
    "seg": ["1.50", "<1", "1.0 .. 2.00", "~5"],
    "isbn": ["978-0-393-04002-9", "0-393-04002-X"],
    "ean13": ["978-0-393-04002-9"],
    "query_int": ["1 & (2 | !3)"],
}

DATES = ["2026-02-28", "0001-01-01", "9999-12-31", "1582-10-10", "1970-01-01", "1969-12-31", "0004-02-29", Refused("infinity"),
         Refused("-infinity"), Refused("0001-12-31 BC"), Refused("4713-01-01 BC"), Refused("5874897-12-31"), Refused("10000-01-01")]
TIMES = ["2026-03-29 02:30:00.123456", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999",
         "2000-01-01 00:00:00", "1970-01-01 00:00:00.000001", "2016-12-31 23:59:60", Refused("infinity"), Refused("-infinity"),
         Refused("0001-12-31 23:59:59.999999 BC"), Refused("4713-01-01 00:00:00 BC"), Refused("294276-12-31 23:59:59.999999"),
         Refused("10000-01-01 00:00:00")]
INTERVALS = ["0", "1 year 2 mons -3 days 04:05:06.789", "-178000000 years", "178000000 years", "2147483647 days", "-2147483648 days",
             "2562047788:00:54.775807", "-2562047788:00:54.775807", "-0.000001 seconds", "P1Y2M3DT4H5M6.7S", "P-1Y2M", "1-2",
             "1 12:59:10", "@ 1 minute ago", "-1 mons +1 days -00:00:01", "1.5 months 25:00:00"]

TIME = {
    "date": DATES,
    "time": ["00:00:00", "24:00:00", "23:59:59.999999", "00:00:00.000001"],
    "time(2)": ["12:34:56.789"],
    "timetz": ["00:00:00+00", "24:00:00-15:59:59", "23:59:59.999999+15:59:59", "04:05:06.789-08", "12:00:00+05:30:15"],
    "timestamp": TIMES,
    "timestamp(0)": ["2026-03-29 02:30:00.5", Refused("infinity")],
    "timestamptz": [type(v)(v + "" if "inf" in v or "BC" in v else v + "+00") for v in TIMES] + ["2026-03-29 02:30:00+15:59:59"],
    "timestamptz(3)": ["2026-03-29 02:30:00.1235+01"],
    "instant": ["2026-03-29 02:30:00+01", Refused("infinity"), Refused("0044-03-15 12:00:00+00 BC")],
    "interval": INTERVALS,
    "interval year to month": ["1-2", "-178000000 years"],
    "interval second(1)": ["1.25", "-0.05"],
    "int4range": ["[1,5)", "empty", "(,)", "(,5]", "[-2147483648,2147483647)"],
    "int8range": ["[1,5)", "empty", "[9223372036854775806,)"],
    "numrange": ["[1.10,1.1000]", "(NaN,)", "empty", "[-Infinity,Infinity]", "(,0.0)"],
    "tsrange": ['["2026-01-01 00:00:00",infinity)', "(,)", '["0044-03-15 12:00:00 BC","294276-12-31 23:59:59.999999"]', "empty"],
    "tstzrange": ['["2026-01-01 00:00:00+02",infinity)', "(-infinity,)", '["2026-01-01","2026-01-01"]'],
    "daterange": ["[2026-01-01,2026-02-01)", '["4713-01-01 BC",infinity)', "[-infinity,infinity]", "empty"],
    "textrange": ['["a,b","c\\"d")', '["",ü]', "empty", "(,)"],
    "int4multirange": ["{}", "{[1,3),[5,8)}", "{(,)}", "{(,-5),[7,)}"],
    "int8multirange": ["{[1,3),[5,9223372036854775807)}"],
    "nummultirange": ["{[1.10,2.00],(3,)}", "{[NaN,NaN]}"],
    "tsmultirange": ['{["2026-01-01 00:00:00",infinity)}', "{}"],
    "tstzmultirange": ['{["2026-01-01 00:00:00+02","2026-01-02 00:00:00+02"),[infinity,infinity]}'],
    "datemultirange": ["{[2026-01-01,2026-02-01),[2027-01-01,infinity)}"],
    "textmultirange": ['{["a,b","c\\"d"),[e,f]}'],
}

GEOMETRY = {
    "inet": ["10.0.0.1", "10.0.0.1/8", "0.0.0.0/0", "255.255.255.255", "::1", "::ffff:1.2.3.4/96", "2001:db8::/32", "::/0"],
    "cidr": ["10.0.0.0/8", "10.0.0.1/32", "::1/128", "2001:db8::/32"],
    "macaddr": ["08:00:2b:01:02:03", "ff:ff:ff:ff:ff:ff"],
    "macaddr8": ["08:00:2b:ff:fe:01:02:03", "00:00:00:00:00:00:00:00"],
    "point": ["(0.1,-0)", "(1e308,5e-324)", "(NaN,Infinity)"],
    "line": ["{1,-1,0.1}", "{0,0.001,-0}"],
    "lseg": ["[(0,0.1),(1e300,-1)]", "[(Infinity,-Infinity),(1,1)]"],
    "box": ["(2,2),(0.1,-1)", "(Infinity,1),(0,0)"],
    "path": ["[(0,0),(1,1.5)]", "((0,0),(1,1.5),(2,0))", "[" + ",".join(f"({i},{i * i % 97}.1)" for i in range(2000)) + "]"],
    "polygon": ["((0,0),(1,1.5),(2,0))", "((5e-324,1))"],
    "circle": ["<(0.1,-0),3>", "<(1e300,0),Infinity>"],
}

ARRAYS = {
    "integer[]": INT_ARRAYS + ["{" + ",".join(str(i * 7919 % 2147483647) for i in range(5000)) + "}"],
    "smallint[]": INT_ARRAYS, "bigint[]": INT_ARRAYS, "oid[]": ["{0,4294967295}"], "boolean[]": ["{t,f,NULL}", "{}"],
    "real[]": ["{0.1,-0,NaN,Infinity,1e-45,NULL}"],
    "double precision[]": ["{0.1,-0,NaN,-Infinity,5e-324,1.7976931348623157e308}"],
    "numeric[]": ["{1.10,NaN,-Infinity,1e-30}", "{{0,1},{2,NULL}}"], "numeric(12,2)[]": ["{1.10,NaN,9999999999.99}"],
    "money[]": ["{$1.00,-92233720368547758.08}"],
    "text[]": ['{a,"b,c","d\\"e\\\\",NULL,"NULL",""," ","{}","ü☃𝄞"}', "{}", '[5:6]={"\ttab","\nline"}'],
    "varchar(3)[]": ["{abc,ü☃𝄞}"], "char(3)[]": ["{a,NULL}"], '"char"[]': ['{a,"",NULL}'], "name[]": ["{a}"], "citext[]": ["{Ab,aB}"],
    "bytea[]": ['{"\\\\x","\\\\x00ff5c27",NULL}'], "uuid[]": ["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"],
    "date[]": ['{2026-02-28,infinity,"0044-03-15 BC",5874897-12-31}'],
    "timestamp[]": ['{"2026-03-29 02:30:00.123456",-infinity,"0044-03-15 00:00:00 BC"}'],
    "timestamptz[]": ['{"2026-03-29 02:30:00.123456+05:30",infinity,"294276-12-31 23:59:59+00"}'],
    "time[]": ["{24:00:00}"], "timetz[]": ["{24:00:00-15:59:59}"], "interval[]": ['{"1 year -3 days","-00:00:00.000001",NULL}'],
    "json[]": ['{"{\\"a\\":  1}",NULL}'], "jsonb[]": ['{"{\\"a\\": 1}",null,"null"}'], "xml[]": ["{<a/>}"],
    "inet[]": ["{10.0.0.1,10.0.0.1/8}"], "cidr[]": ["{10.0.0.0/8,::1/128}"], "bit(3)[]": ["{101,NULL}"], "varbit[]": ['{"",1}'],
    "point[]": ['{"(0.1,-0)"}'], "box[]": ["{(1,1),(0,0);(2,2),(1,1)}"], "int4range[]": ['{"[1,5)",empty,NULL}'],
    "int4multirange[]": ['{"{[1,3),[5,8)}","{}"}'], "mood[]": ['{sad,"it\'s \\"fine\\"","a,b","",NULL,"NULL"}', "{}"],
    "price[]": ["{1.00,NULL,99.99,NaN}"], "better_mood[]": ["{ok,NULL}"], "few[]": ['{"{1,NULL}","[2:3]={4,5}"}'],
    "pair[]": ['{"(1,\\"a,b\\")","(,)",NULL,"(2,\\"q\\"\\"\\\\\\\\\\")"}', "{}"], "hstore[]": ['{"\\"a\\"=>\\"1\\""}'],
    "tsvector[]": ["{'a':1}"], "regclass[]": ["{pg_class,0}"], "oidvector[]": ['{"1 2"}'],
    "pair": ["(,)", '(1,"a,b")', '(-1,"")', '(2,"q""\\\\ (x) \' ü")', "(3,NULL)"],
    "nest": ["(,,,,,)", '("(1,""a """"b"""""")","{""(2,c)"",NULL}",ok,1.10,"2026-01-01 00:00:00+02","\\\\x00ff")',
             '("(,)",{},"a,b",0,-infinity,)'],
    "counted": ["(1,)", '(2,"x y")'],
    "shape": ["(,)", '(1,"B c")'],
}

MUST = {"must": ["1", "2147483647"]}

# One table each: columns c0, c1, ... of these types.
TABLES = {"numbers": NUMBERS, "texts": TEXTS, "times": TIME, "places": GEOMETRY, "structures": ARRAYS, "musts": MUST}

# Types of which nobody writes a literal: an expression that has a value, NULL where the server has none outside of an index.
UNWRITABLE = {
    "pg_node_tree": "(SELECT adbin FROM pg_attrdef LIMIT 1)",
    "pg_ndistinct": "(SELECT stxdndistinct FROM pg_statistic_ext_data WHERE stxdndistinct IS NOT NULL)",
    "pg_dependencies": "(SELECT stxddependencies FROM pg_statistic_ext_data WHERE stxddependencies IS NOT NULL)",
    "pg_mcv_list": "(SELECT stxdmcv FROM pg_statistic_ext_data WHERE stxdmcv IS NOT NULL)",
    "pg_class": "(SELECT c FROM pg_class c WHERE relname = 'measured')",
    "pg_type": "(SELECT t FROM pg_type t WHERE typname = 'numeric')",
    "pg_proc": "(SELECT p FROM pg_proc p WHERE proname = 'regexp_split_to_array' LIMIT 1)",
    "pg_index": "(SELECT i FROM pg_index i WHERE indrelid = 'measured'::regclass)",
    "pg_database": "(SELECT d FROM pg_database d WHERE datname = 'postgres')",
}
