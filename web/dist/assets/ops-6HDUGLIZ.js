import"./ops.chunk-X5M67CRB.js";import"./ops.chunk-EVMT2YCP.js";
