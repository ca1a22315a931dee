import"./ops.chunk-AAR2HB4H.js";import"./ops.chunk-EVMT2YCP.js";
