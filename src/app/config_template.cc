#include <map>
#include <sstream>

#include "app/config.h"
#include "app/source_conninfo.h"
#include "cdc/pg_connection.h"

namespace tarn::app {
namespace {

/// What libpq reads in the text; a password is refused and not repeated.
Result<std::map<std::string, std::string>> ParseSource(const std::string& source) {
  auto parts = cdc::ParseConninfo(source);
  if (!parts) {
    // libpq's own words may quote the password.
    return Error{
        ErrorCode::kInvalidArgument,
        "--source is not understood: write postgresql://user@host:5432/database or \"host=... dbname=... "
        "user=...\", with special characters as %40"};
  }
  if (parts->contains("password") || parts->contains("sslpassword")) {
    return Error{
        ErrorCode::kInvalidArgument,
        "no password in --source, please: it would end in tarn.toml; put it into a file (password_file, "
        "key_password_file) or TARN_SOURCE_PASSWORD, TARN_SOURCE_KEY_PASSWORD"};
  }
  return parts;
}

/// libpq's further settings, such as sslmode, as a connection string.
std::string OtherSettings(const std::map<std::string, std::string>& parts) {
  std::string out;
  for (const auto& [name, value] : parts) {
    if (name == "host" || name == "port" || name == "dbname" || name == "user") continue;
    out += (out.empty() ? "" : " ") + ConninfoSetting(name, value);
  }
  return out;
}

/// One number as such, several as a text; libpq takes an empty one of several for its own.
std::string Ports(const std::string& ports) {
  std::stringstream list(ports);
  std::string out;
  for (std::string port; std::getline(list, port, ',');)
    out += (out.empty() ? "" : ",") + (port.empty() ? "5432" : port);
  if (ports.empty() || ports.back() == ',') out += out.empty() ? "5432" : ",5432";
  return out.find(',') == std::string::npos ? out : '"' + out + '"';
}

std::string TomlText(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace

Result<std::string> ConfigTemplate(const std::string& source, const std::string& lake,
                                   const std::string& models, const std::string& tenant_column) {
  TARN_ASSIGN(auto parts, ParseSource(source));
  const std::string port = Ports(parts["port"]);
  std::string out;
  out += "# What tarn follows and where it keeps it. `tarn check` says what is missing on either side.\n\n";
  out += "[source]\n";
  out += "host = " + TomlText(parts["host"]) +
         "               # name, address or the folder of a Unix socket; \"a,b\": the one that is primary\n";
  out += "port = " + port + "\n";
  out += "database = " + TomlText(parts["dbname"]) + "\n";
  out += "user = " + TomlText(parts["user"]) +
         "               # needs REPLICATION, SELECT on the tables, CREATE on the database\n";
  out +=
      "# password_file = \"source.password\"  # or the environment's TARN_SOURCE_PASSWORD; never in here\n";
  const std::string others = OtherSettings(parts);
  out += (others.empty() ? "# connection = \"sslmode=verify-full\"" : "connection = " + TomlText(others)) +
         "  # any more of libpq's settings\n";
  out += "slot = \"tarn\"                # one for each lake\n";
  out += "publication = \"tarn\"\n";
  out += "# copy_mb_per_s = 50         # spares the source while a table is copied; 0: as fast as it goes\n";
  out +=
      "# copy_save_ms = 10000       # what a copy that is cut off loses at most; the rest need not come "
      "again\n";
  out += "# wal_warn_mb = 10240        # warn when the source keeps more WAL than this for tarn\n";
  out +=
      "# piece_kb = 49152           # changes held in memory at most; larger transactions come in pieces\n\n";
  out += "[tables]\n";
  out += "include = [\"public.*\"]      # schema.table, with * and ?\n";
  out += "exclude = []\n\n";
  out += "# What never reaches the lake, or only as a hash (made with a secret), or under another name.\n";
  out += "# hash_secret_file = \"hash-secret\"   # a key of [tables]; or TARN_HASH_SECRET\n";
  out += "# [[mapping]]\n# tables = \"public.customer\"\n# drop = [\"password*\"]\n# hash = [\"email\"]\n";
  out += "# rename = { fullname = \"name\" }\n";
  out += "# filter = \"country = 'DE'\"          # only such rows\n";
  out += "# add = { origin = \"'shop-eu'\" }     # or database, schema, table\n";
  out += "# table_name = \"clients\"            # in the lake\n\n";
  out += "[tenants]\n";
  out += (tenant_column.empty() ? "# column = \"tenant_id\"" : "column = " + TomlText(tenant_column)) +
         "         # tables that have it are partitioned by it; a tenant's principal sees nothing else\n\n";
  out += "[lake]\n";
  out += "path = " + TomlText(lake) + "               # a folder; relative to this file\n";
  out += "time_travel_hours = 168     # how far back AS OF reaches\n\n";
  out += "[bronze]\n";
  out += "flush_interval_ms = 4000    # a change is confirmed to the source at the latest after this\n";
  out +=
      "# path = \"s3://bucket/prefix\"  # in an object store, not in the lake's folder; never moved "
      "later\n";
  out +=
      "archive_after_hours = 6     # a day's changes are written again in large files; false: they are not\n";
  out += "keep_days = false           # how long the small files stay after that; false: for ever\n\n";
  out += "# Credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials.\n";
  out += "# [s3]\n# region = \"eu-central-1\"\n# endpoint = \"https://minio.example:9000\"   # not AWS's\n";
  out += "# sse = \"aws:kms\"            # or \"AES256\"; kms_key_id names the key\n\n";
  out += "[silver]\n";
  out +=
      "commit_interval_ms = 10000  # what other readers of the Hudi tables wait; tarn's own queries do not\n";
  out += "copy_workers = 2            # connections of the first copy\n";
  out += "enabled = true              # false: changes go to Bronze and no further\n\n";
  out += "[gold]\n";
  out += (models.empty() ? "# models = \"models\"" : "models = " + TomlText(models)) +
         "         # folder with silver/*.yml (rules) and gold/*.sql (models)\n";
  out += "interval_ms = 10000         # least time between two runs\n";
  out +=
      "check_interval_ms = 60000   # and between two of the checks in models; false: `tarn test` runs "
      "them\n\n";
  out += "# `tarn plan` asks it which models cannot run on Spark (jobs/README.md).\n";
  out += "# [spark]\n# check = [\"python3\", \"jobs/check_portable.py\"]\n\n";
  out += "[query]\n";
  out += "memory_mb = 1024\n";
  out += "threads = 2\n\n";
  out +=
      "# Who may look at what: `tarn query --as NAME`. \"operator\" is always there and sees everything.\n";
  out +=
      "# [[principals]]\n# name = \"acme_analyst\"\n# tenant = \"3\"              # value of the tenant "
      "column\n";
  out +=
      "# shared = []               # tables without a tenant that it may read, such as \"silver.calendar\"\n";
  return out;
}

}  // namespace tarn::app
