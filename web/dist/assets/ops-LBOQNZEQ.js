import"./ops.chunk-R2QW5L5Z.js";import"./ops.chunk-EVMT2YCP.js";
