import"./ops.chunk-JHP4UEKJ.js";import"./ops.chunk-EVMT2YCP.js";
