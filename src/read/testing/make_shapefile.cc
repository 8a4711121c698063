#include "read/testing/make_shapefile.h"

#include <algorithm>
#include <cstring>

namespace sluice::read::testing {
namespace {

template <class T>
void Put(T value, std::string* out) {
  out->append(reinterpret_cast<const char*>(&value), sizeof value);
}

void PutBig(uint32_t value, std::string* out) {
  for (int shift = 24; shift >= 0; shift -= 8) *out += static_cast<char>(value >> shift);
}

std::string FileHead(uint32_t type, size_t bytes) {
  std::string head;
  PutBig(9994, &head);
  head.append(20, '\0');
  PutBig(static_cast<uint32_t>(bytes / 2), &head);
  Put<uint32_t>(1000, &head);
  Put<uint32_t>(type, &head);
  head.append(64, '\0');
  return head;
}

void PutZs(size_t count, double z, std::string* out) {
  out->append(16, '\0');
  for (size_t i = 0; i < count; ++i) Put<double>(z + static_cast<double>(i), out);
}

}  // namespace

std::string NullShape() { return std::string(4, '\0'); }

std::string PointShape(double x, double y) {
  std::string out;
  Put<uint32_t>(1, &out);
  Put(x, &out);
  Put(y, &out);
  return out;
}

std::string PointZShape(double x, double y, double z) {
  std::string out;
  Put<uint32_t>(11, &out);
  Put(x, &out);
  Put(y, &out);
  Put(z, &out);
  Put(-1e39, &out);
  return out;
}

std::string PartsShape(uint32_t type, const std::vector<Points>& parts, double z) {
  const bool only_points = type == 8 || type == 18;
  std::string out;
  Put(type, &out);
  out.append(32, '\0');
  uint32_t count = 0;
  if (!only_points) Put(static_cast<uint32_t>(parts.size()), &out);
  for (const Points& part : parts) count += static_cast<uint32_t>(part.size());
  Put(count, &out);
  uint32_t first = 0;
  for (const Points& part : parts) {
    if (!only_points) Put(first, &out);
    first += static_cast<uint32_t>(part.size());
  }
  for (const Points& part : parts) {
    for (const auto& point : part) {
      Put(point[0], &out);
      Put(point[1], &out);
    }
  }
  if (type > 10) PutZs(count, z, &out);
  return out;
}

std::string MultiPatchShape(const std::vector<uint32_t>& types, const std::vector<Points>& parts) {
  std::string out = PartsShape(15, parts, 0);
  out[0] = 31;
  std::string kinds;
  for (const uint32_t type : types) Put(type, &kinds);
  out.insert(4 + 32 + 8 + parts.size() * 4, kinds);
  return out;
}

MadeShapefile MakeShapefile(uint32_t type, const std::vector<std::string>& shapes, const MadeTable& table) {
  MadeShapefile made;
  std::string records, index;
  for (size_t i = 0; i < shapes.size(); ++i) {
    PutBig(static_cast<uint32_t>((100 + records.size()) / 2), &index);
    PutBig(static_cast<uint32_t>(shapes[i].size() / 2), &index);
    PutBig(static_cast<uint32_t>(i + 1), &records);
    PutBig(static_cast<uint32_t>(shapes[i].size() / 2), &records);
    records += shapes[i];
  }
  made.shp = FileHead(type, 100 + records.size()) + records;
  made.shx = FileHead(type, 100 + index.size()) + index;

  size_t record_bytes = 1;
  std::string fields;
  for (const MadeField& field : table.fields) {
    std::string descriptor = field.name.substr(0, 10);
    descriptor.resize(11, '\0');
    descriptor += field.type;
    descriptor.append(4, '\0');
    Put(static_cast<uint16_t>(field.length), &descriptor);
    descriptor.append(14, '\0');
    fields += descriptor;
    record_bytes += static_cast<size_t>(field.length);
  }
  made.dbf = std::string("\x03\x7c\x01\x01", 4);
  Put(static_cast<uint32_t>(table.rows.size()), &made.dbf);
  Put(static_cast<uint16_t>(32 + fields.size() + 1), &made.dbf);
  Put(static_cast<uint16_t>(record_bytes), &made.dbf);
  made.dbf.append(17, '\0');
  made.dbf += static_cast<char>(table.mark);
  made.dbf.append(2, '\0');
  made.dbf += fields + "\r";
  for (size_t i = 0; i < table.rows.size(); ++i) {
    const bool deleted = std::find(table.deleted.begin(), table.deleted.end(), i) != table.deleted.end();
    made.dbf += deleted ? '*' : ' ';
    for (size_t c = 0; c < table.fields.size(); ++c) {
      std::string value = table.rows[i][c];
      value.resize(static_cast<size_t>(table.fields[c].length), ' ');
      made.dbf += value;
    }
  }
  made.dbf += '\x1a';
  return made;
}

ShapefileParts PartsOf(const MadeShapefile& made) {
  ShapefileParts parts;
  parts.shp = MakeRandomMemory(made.shp, "a.shp");
  parts.dbf = MakeRandomMemory(made.dbf, "a.dbf");
  if (!made.shx.empty()) parts.shx = MakeRandomMemory(made.shx, "a.shx");
  parts.cpg = made.cpg;
  parts.prj = made.prj;
  return parts;
}

}  // namespace sluice::read::testing
