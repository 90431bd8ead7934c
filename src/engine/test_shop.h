#pragma once

#include <arrow/api.h>

#include <array>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"

namespace tarn::engine {

/// For tests: a small shop with the columns that the models of models/gold read.
using ShopValue = std::variant<std::monostate, int64_t, std::string>;
using ShopRow = std::vector<ShopValue>;
/// By id.
using ShopRows = std::map<int64_t, ShopRow>;

struct ShopTable {
  std::string name;
  std::shared_ptr<arrow::Schema> schema;
  bool is_partitioned = true;  ///< By tenant_id, which is the second column.
};

inline const std::vector<ShopTable>& ShopTables() {
  const auto number = [](const char* name) { return arrow::field(name, arrow::int64()); };
  const auto text = [](const char* name) { return arrow::field(name, arrow::utf8()); };
  const auto money = [](const char* name) { return arrow::field(name, arrow::decimal128(12, 2)); };
  const auto time = [](const char* name) {
    return arrow::field(name, arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"));
  };
  static const std::vector<ShopTable> tables = {
      {"tenants", arrow::schema({number("id"), text("name"), text("time_zone")}), false},
      {"orders", arrow::schema({number("id"), number("tenant_id"), number("customer_id"), text("status"),
                                time("placed_at"), money("total"), text("currency")})},
      {"order_items",
       arrow::schema({number("id"), number("tenant_id"), number("order_id"), number("product_id"),
                      number("quantity"), money("unit_price"), money("discount")})},
      {"products", arrow::schema({number("id"), number("tenant_id"), text("sku"), text("name"),
                                  text("category"), money("cost"), text("currency"), number("stock"),
                                  arrow::field("is_active", arrow::boolean())})},
      {"customers", arrow::schema({number("id"), number("tenant_id"), time("created_at"),
                                   arrow::field("marketing_opt_in", arrow::boolean())})},
      {"events", arrow::schema({number("id"), number("tenant_id"), text("session_id"), text("kind"),
                                text("device"), time("occurred_at")})},
      {"subscriptions",
       arrow::schema({number("id"), number("tenant_id"), text("plan"), money("price"), text("currency"),
                      time("started_at"), time("trial_ends_at"), time("ended_at"), number("customer_id")})},
  };
  return tables;
}

inline std::shared_ptr<arrow::Array> ToArray(const arrow::Field& field, const ShopRows& rows, size_t column) {
  auto builder = arrow::MakeBuilder(field.type()).ValueOrDie();
  for (const auto& [id, row] : rows) {
    const ShopValue& value = row[column];
    if (const auto* text = std::get_if<std::string>(&value)) {
      (void)static_cast<arrow::StringBuilder&>(*builder).Append(*text);
    } else if (const auto* number = std::get_if<int64_t>(&value)) {
      switch (field.type()->id()) {
        case arrow::Type::DECIMAL128:
          (void)static_cast<arrow::Decimal128Builder&>(*builder).Append(arrow::Decimal128(*number));
          break;
        case arrow::Type::BOOL:
          (void)static_cast<arrow::BooleanBuilder&>(*builder).Append(*number != 0);
          break;
        case arrow::Type::TIMESTAMP:
          (void)static_cast<arrow::TimestampBuilder&>(*builder).Append(*number);
          break;
        default:
          (void)static_cast<arrow::Int64Builder&>(*builder).Append(*number);
      }
    } else {
      (void)builder->AppendNull();
    }
  }
  return builder->Finish().ValueOrDie();
}

inline std::shared_ptr<arrow::RecordBatch> ToBatch(const ShopTable& table, const ShopRows& rows) {
  arrow::ArrayVector columns;
  for (int i = 0; i < table.schema->num_fields(); i++) {
    columns.push_back(ToArray(*table.schema->field(i), rows, static_cast<size_t>(i)));
  }
  return arrow::RecordBatch::Make(table.schema, static_cast<int64_t>(rows.size()), columns);
}

/// Draws rows that meet each other: few tenants, customers, products and days.
class ShopDraw {
 public:
  ShopDraw(std::mt19937* random, int64_t tenants, int64_t now_micros)
      : random_(*random), tenants_(tenants), now_micros_(now_micros) {}

  int64_t Below(int64_t bound) { return std::uniform_int_distribution<int64_t>(0, bound - 1)(random_); }
  bool OneIn(int64_t count) { return Below(count) == 0; }

  ShopRow Row(const std::string& table, int64_t id) {
    if (table == "tenants") return {id, "tenant " + std::to_string(Below(100)), Zone()};
    const int64_t tenant = Below(tenants_);
    if (table == "orders") return {id, tenant, Below(6), Status(), Time(150), Below(100'000), Currency()};
    if (table == "order_items") {
      return {id, tenant, Below(60), Below(8), 1 + Below(5), Below(10'000), Below(100)};
    }
    if (table == "products") {
      return {id,
              tenant,
              "sku " + std::to_string(id),
              "name",
              Below(2) == 0 ? "toys" : "books",
              Below(999),
              Currency(),
              Below(50),
              Below(4) == 0 ? int64_t{0} : int64_t{1}};
    }
    if (table == "customers") return {id, tenant, Time(200), Below(2)};
    if (table == "events") {
      return {id,
              tenant,
              "session " + std::to_string(Below(12)),
              Kind(),
              Below(2) == 0 ? "mobile" : "desktop",
              Time(60)};
    }
    ShopRow row = {id, tenant,  Below(2) == 0 ? "basic" : "pro", Below(5'000), Currency(), Time(200), {},
                   {}, Below(6)};
    const int64_t started = std::get<int64_t>(row[5]);
    if (OneIn(3)) row[6] = started + 14 * kDay;
    if (OneIn(3)) row[7] = started + Below(100) * kDay;
    return row;
  }

 private:
  static constexpr int64_t kDay = 86'400'000'000;
  std::string Zone() {
    constexpr std::array zones = {"Europe/Berlin", "America/New_York", "Asia/Kathmandu"};
    return zones[static_cast<size_t>(Below(3))];
  }
  std::string Status() {
    constexpr std::array statuses = {"paid", "shipped", "delivered", "pending", "cancelled"};
    return statuses[static_cast<size_t>(Below(5))];
  }
  std::string Kind() {
    constexpr std::array kinds = {"page_view", "product_view", "add_to_cart", "checkout", "purchase"};
    return kinds[static_cast<size_t>(Below(5))];
  }
  std::string Currency() { return Below(3) == 0 ? "USD" : "EUR"; }
  int64_t Time(int64_t days) { return now_micros_ - Below(days * 24) * kDay / 24 - Below(kDay / 24); }

  std::mt19937& random_;
  int64_t tenants_;
  int64_t now_micros_;
};

}  // namespace tarn::engine
